"""Hairpin mode: on the container's own bridge port, and only where bridged frames are filtered."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.node.hosts import Container, Namespace, Node, removed, wire
from yarn_kata_runtime.node import hairpin

pytestmark = pytest.mark.usefixtures("needs_root")


@pytest.fixture(params=[True, False], ids=["bridged", "routed"])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    with wire() as between, removed(Node(between, 1, request.param, proxy=True)) as made:
        yield made


@pytest.fixture
def pair(node: Node) -> Iterator[tuple[Container, Container]]:
    with removed(node.container(2, [])) as one, removed(node.container(3, [])) as other:
        yield one, other


def hairpin_ports(node: Node) -> list[str]:
    links = json.loads(node.run("bridge", "-j", "-d", "link"))
    return [link["ifname"] for link in links if link.get("hairpin")]


def filtered(node: Node) -> bool:
    return node.run("sysctl", "-n", "net.bridge.bridge-nf-call-iptables").strip() == "1"


def test_on_its_own_port(node: Node, pair: tuple[Container, Container]) -> None:
    one, _ = pair
    for _ in range(2):
        node.call(hairpin.allow, one.first.pid)
        assert hairpin_ports(node) == ([one.port] if filtered(node) else [])


def test_interface_of_the_same_index_elsewhere(node: Node) -> None:
    """Two containers' interfaces may have one number; the port of the other stays as it is."""
    with removed(Namespace()) as one, removed(Namespace()) as other:
        for namespace, port in ((one, "one"), (other, "other")):
            link = ["link", "add", "eth0", "index", "77", "type", "veth", "peer", "name", port, "netns", node.name]
            namespace.ip(*link)
            node.ip("link", "set", port, "master", "docker0", "up")
        first = other.spawn(time.sleep, 60)
        node.call(hairpin.allow, first.pid)
        first.stop()
        assert hairpin_ports(node) == (["other"] if filtered(node) else [])


def test_container_without_a_network(node: Node) -> None:
    with removed(Namespace()) as alone:
        first = alone.spawn(time.sleep, 60)
        node.call(hairpin.allow, first.pid)
        first.stop()
    assert hairpin_ports(node) == []


def test_interface_that_is_no_bridge_port(node: Node) -> None:
    with removed(Namespace()) as other:
        other.connect("eth0", node, "loose")
        first = other.spawn(time.sleep, 60)
        node.call(hairpin.allow, first.pid)
        first.stop()
    assert hairpin_ports(node) == []
