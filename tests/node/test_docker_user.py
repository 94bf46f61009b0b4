"""The rule on Docker's side, before, after and without Docker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.node.hosts import Node, removed, wire
from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.node import docker_user

pytestmark = pytest.mark.usefixtures("needs_root")

ACCEPT = "-A DOCKER-USER -m mark --mark 0x10000000/0x10000000 -j ACCEPT"
JUMP = "-A FORWARD -j DOCKER-USER"


@pytest.fixture(scope="module")
def made_node() -> Iterator[Node]:
    with wire() as between, removed(Node(between, 1, bridged=True, proxy=True)) as made:
        yield made


@pytest.fixture
def node(made_node: Node) -> Node:
    """A node without Docker where another program drops what is forwarded."""
    made_node.run("nft", "flush", "ruleset")
    made_node.run("iptables", "-P", "FORWARD", "DROP")
    return made_node


def test_once_and_before_the_administrators_rules(node: Node) -> None:
    node.start_docker()
    node.run("iptables", "-I", "DOCKER-USER", "-s", "192.0.2.0/24", "-j", "DROP")
    before = node.firewall()
    for _ in range(2):
        node.call(docker_user.insert)
    rules = [rule for rule in node.firewall() if rule.startswith("-A DOCKER-USER")]
    assert rules == [ACCEPT, "-A DOCKER-USER -s 192.0.2.0/24 -j DROP", "-A DOCKER-USER -j RETURN"]
    for _ in range(2):
        node.call(docker_user.remove)
        assert node.firewall() == before


def test_docker_starts_later(node: Node) -> None:
    node.call(docker_user.insert)
    node.start_docker()
    rules = [rule for rule in node.firewall() if rule.startswith("-A")]
    assert rules[0] == JUMP
    assert rules.count(ACCEPT) == rules.count(JUMP) == 1
    node.call(docker_user.remove)
    assert JUMP in node.firewall()


def test_docker_never_was(node: Node) -> None:
    before = node.firewall()
    node.call(docker_user.insert)
    assert {JUMP, ACCEPT} <= set(node.firewall())
    node.call(docker_user.remove)
    assert node.firewall() == before


def test_an_administrators_chain_stays(node: Node) -> None:
    node.call(docker_user.insert)
    node.run("iptables", "-A", "DOCKER-USER", "-s", "192.0.2.0/24", "-j", "DROP")
    node.call(docker_user.remove)
    assert "-A DOCKER-USER -s 192.0.2.0/24 -j DROP" in node.firewall()


def test_no_iptables(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_user, "_IPTABLES", "/nonexistent/iptables")
    node.call(docker_user.insert)
    node.call(docker_user.remove)
    assert ACCEPT not in node.firewall()


def test_iptables_refuses(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_user, "_RULE", ["-m", "mark", "--mark", "nonsense", "-j", "ACCEPT"])
    with pytest.raises(Refused, match="cannot be told to pass the routes.*nonsense"):
        node.call(docker_user.insert)
