"""The node's table: its text as `nft` reads it, and its set-up when several ask at once."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.node.hosts import Namespace, Node, removed, require, wire
from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.node import nftables, routes
from yarn_kata_runtime.node.elements import made_for
from yarn_kata_runtime.node.nftables import ruleset, set_up

pytestmark = pytest.mark.usefixtures("needs_root")

ACCEPT = "-A DOCKER-USER -m mark --mark 0x10000000/0x10000000 -j ACCEPT"
ROUTES = {20480: "172.17.0.2", 20736: "172.17.0.3"}
PROCESSES = 8


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    require("ip", "nft")
    with removed(Namespace()) as made:
        yield made


@pytest.fixture(scope="module")
def made_node() -> Iterator[Node]:
    with wire() as between, removed(Node(between, 1, bridged=True, proxy=True)) as made:
        yield made


@pytest.fixture
def node(made_node: Node) -> Node:
    """A node with the rules of Docker only."""
    made_node.run("nft", "flush", "ruleset")
    made_node.start_docker()
    return made_node


def load(namespace: Namespace, text: str, folder: Path) -> None:
    (folder / "text").write_text(text)
    namespace.run("nft", "-f", str(folder / "text"))


class TestText:
    @pytest.mark.parametrize("block", [1, 128, 256, 4096])
    def test_loads_and_replaces_what_is_there(self, namespace: Namespace, tmp_path: Path, block: int) -> None:
        for routed in (ROUTES, {}, {4096: "10.0.0.1"}):
            load(namespace, ruleset(block, routed), tmp_path)
            assert namespace.call(routes.routes) == routed
            assert namespace.call(made_for, block) is True

    def test_what_nft_lists_loads_again(self, namespace: Namespace, tmp_path: Path) -> None:
        """So that an administrator may save the rule set of a node."""
        load(namespace, ruleset(256, ROUTES), tmp_path)
        saved = namespace.run("nft", "list", "ruleset")
        namespace.run("nft", "flush", "ruleset")
        load(namespace, saved, tmp_path)
        assert namespace.run("nft", "list", "ruleset") == saved

    @settings(max_examples=20, deadline=None)
    @given(
        st.integers(0, 12).flatmap(
            lambda power: st.tuples(
                st.just(1 << power),
                st.dictionaries(
                    st.integers(1, (65536 >> power) - 1).map(lambda number: number << power),
                    st.ip_addresses(v=4).map(str),
                    max_size=300,
                ),
            )
        )
    )
    def test_any_routes(self, namespace: Namespace, wanted: tuple[int, dict[int, str]]) -> None:
        namespace.run("nft", ruleset(*wanted))
        assert namespace.call(routes.routes) == wanted[1]


def open_one(number: int, barrier_port: int) -> None:
    first_port = barrier_port + 256 * number
    pool = {"mode": "on", "first": 20480, "last": 40959, "block": 256}
    routes.open_route(first_port, f"172.17.0.{number + 2}", pool, dict)  # type: ignore[arg-type]


class TestSetUp:
    def test_from_many_processes_at_once(self, node: Node) -> None:
        for _ in range(3):
            node.run("nft", "flush", "ruleset")
            node.start_docker()
            openers = [node.spawn(open_one, number, 20480) for number in range(PROCESSES)]
            for opener in openers:
                opener.result()
            wanted = {20480 + 256 * number: f"172.17.0.{number + 2}" for number in range(PROCESSES)}
            assert node.call(routes.routes) == wanted
            assert node.firewall().count(ACCEPT) == 1

    def test_removed_twice(self, node: Node) -> None:
        before = node.firewall()
        node.call(set_up, 256, dict)
        for _ in range(2):
            node.call(nftables.remove)
            assert node.firewall() == before
            assert "yarn_kata" not in node.run("nft", "list", "tables")

    def test_nft_refuses(self, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(nftables, "_TEXT", "table ip {table} {{ nonsense }}")
        with pytest.raises(Refused, match="nftables refuses the table ip yarn_kata.*nonsense"):
            node.call(set_up, 256, dict)

    def test_no_nft(self, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(nftables, "_NFT", "/nonexistent/nft")
        with pytest.raises(Refused, match="/nonexistent/nft"):
            node.call(open_one, 0, 20480)

    def test_lock_is_held_by_another(self, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(nftables, "_LOCK_SECONDS", 0.1)
        with open(f"/run/netns/{node.name}") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            with pytest.raises(Refused, match="another process has been setting up"):
                node.call(set_up, 256, dict)
        node.call(set_up, 256, dict)
        assert node.call(made_for, 256) is True
