"""Routes on the real kernel: every path to a container, with and without what Docker may have set."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import pytest

from tests.node.hosts import PROCESSES, Container, Namespace, Node, Spawned, dial, opened, removed, wire
from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.node import hairpin, routes

if TYPE_CHECKING:
    from yarn_kata_runtime.compiled import Ports

pytestmark = pytest.mark.usefixtures("needs_root")

BLOCK = 256
POOL: Ports = {"mode": "on", "first": 20480, "last": 40959, "block": BLOCK}
A, B, C, FREE = 20480, 20736, 20480, 30720  # first ports; C's is on the other node
INSIDE = 7  # a port of a block
MORE = (0, BLOCK - 1)  # others that the containers answer on
OUTSIDE = 1000  # a port of no block


class World:
    """Two nodes, containers a and b on the first and c on the second, each with its route."""

    def __init__(self, stack: ExitStack, bridged: bool, proxy: bool) -> None:
        between = stack.enter_context(wire())
        self.one = stack.enter_context(removed(Node(between, 1, bridged, proxy)))
        self.two = stack.enter_context(removed(Node(between, 2, bridged, proxy)))
        self.a = self._container(stack, self.one, 2, A)
        self.b = self._container(stack, self.one, 3, B)
        self.c = self._container(stack, self.two, 2, C)
        self.one.start_docker()
        self.two.start_docker()

    def _container(self, stack: ExitStack, node: Node, number: int, first_port: int) -> Container:
        ports = [first_port + offset for offset in (INSIDE, *MORE)] + [OUTSIDE]
        return stack.enter_context(removed(node.container(number, ports)))

    def open_all(self) -> None:
        for first_port, container in ((A, self.a), (B, self.b), (C, self.c)):
            container.node.call(begin, first_port, container.address, container.first.pid)

    def sees_local(self, node: Node) -> str:
        """Where a container sees a process of its own node come from."""
        return node.address if node.proxy else node.gateway


def begin(first_port: int, address: str, pid: int) -> None:
    """What `start` does for a container."""
    routes.open_route(first_port, address, POOL, dict)
    hairpin.allow(pid)


def live_pair(first: tuple[int, str], second: tuple[int, str]) -> None:
    """Open the first route with a store that knows both."""
    routes.open_route(*first, POOL, lambda: dict([first, second]))


@pytest.fixture(
    scope="module", params=product((True, False), (True, False)), ids=lambda pair: f"nf{pair[0]:d}proxy{pair[1]:d}"
)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """With bridge-nf-call-iptables 1 and 0, each with Docker's userland-proxy on and off."""
    with ExitStack() as stack:
        yield World(stack, *request.param)


@pytest.fixture
def routed(world: World) -> World:
    world.open_all()
    return world


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
class TestPaths:
    def test_from_another_container_of_the_node(self, routed: World, protocol: str) -> None:
        assert routed.a.call(dial, protocol, routed.one.address, B + INSIDE) == routed.one.gateway

    def test_from_another_container_by_the_gateway(self, routed: World, protocol: str) -> None:
        assert routed.a.call(dial, protocol, routed.one.gateway, B + INSIDE) == routed.one.gateway

    def test_from_the_container_itself(self, routed: World, protocol: str) -> None:
        assert routed.a.call(dial, protocol, routed.one.address, A + INSIDE) == routed.one.gateway

    def test_from_its_node(self, routed: World, protocol: str) -> None:
        assert routed.one.call(dial, protocol, routed.one.address, A + INSIDE) == routed.sees_local(routed.one)

    def test_from_another_node_whose_address_is_kept(self, routed: World, protocol: str) -> None:
        assert routed.two.call(dial, protocol, routed.one.address, A + INSIDE) == routed.two.address

    def test_from_another_nodes_container(self, routed: World, protocol: str) -> None:
        assert routed.c.call(dial, protocol, routed.one.address, A + INSIDE) == routed.two.address
        assert routed.a.call(dial, protocol, routed.two.address, C + INSIDE) == routed.one.address

    def test_first_and_last_port_of_the_block(self, routed: World, protocol: str) -> None:
        for offset in MORE:
            assert routed.two.call(dial, protocol, routed.one.address, A + offset) == routed.two.address

    def test_other_ports_stay_the_nodes(self, routed: World, protocol: str) -> None:
        for port in (OUTSIDE, A - 1, B + BLOCK):
            assert routed.two.call(dial, protocol, routed.one.address, port) == "ConnectionRefusedError"

    def test_loopback_stays_the_nodes(self, routed: World, protocol: str) -> None:
        assert routed.one.call(dial, protocol, "127.0.0.1", A + INSIDE) == "ConnectionRefusedError"

    def test_what_has_no_route_is_docker_s_to_drop(self, routed: World, protocol: str) -> None:
        routed.two.ip("route", "replace", f"{routed.a.address}/32", "via", routed.one.address)
        assert routed.two.call(dial, protocol, routed.a.address, A + INSIDE) == "TimeoutError"

    def test_after_a_flush(self, routed: World, protocol: str) -> None:
        routed.one.run("nft", "flush", "ruleset")
        routed.one.start_docker()
        a, b = (A, routed.a.address), (B, routed.b.address)
        routed.one.call(live_pair, a, b)
        assert routed.one.call(routes.routes) == dict([a, b])
        assert routed.two.call(dial, protocol, routed.one.address, B + INSIDE) == routed.two.address
        assert routed.a.call(dial, protocol, routed.one.address, A + INSIDE) == routed.one.gateway


class Caller:
    """A connection to a container that is held open, in a process of another namespace."""

    def __init__(self, where: Namespace, protocol: str, address: str, port: int) -> None:
        self.here, there = PROCESSES.Pipe()
        self.spawned: Spawned = where.spawn(hold, protocol, address, port, there)
        there.close()
        self.source = self.here.recv()

    def say(self, text: str) -> str:
        """Send on the open connection and return the answer, or the name of the error."""
        self.here.send(text)
        answer: str = self.here.recv()
        return answer


def hold(protocol: str, address: str, port: int, orders: Connection) -> None:
    with opened(protocol, address, port) as dialled:
        if protocol == "udp":
            dialled.send(b"?")
        orders.send(dialled.recv(4096).decode())
        while True:
            try:
                text = orders.recv()
            except EOFError:
                return
            orders.send(said(dialled, text))


def said(dialled: socket.socket, text: str) -> str:
    try:
        dialled.send(text.encode())
        return dialled.recv(4096).decode()
    except OSError as error:
        return type(error).__name__


CUT = {"tcp": "ConnectionResetError", "udp": "ConnectionRefusedError"}


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
class TestClosed:
    def test_refuses(self, routed: World, protocol: str) -> None:
        routed.one.call(routes.close_route, A, routed.a.address)
        for where in (routed.one, routed.two, routed.b, routed.c):
            assert where.call(dial, protocol, routed.one.address, A + INSIDE) == "ConnectionRefusedError"
        assert routed.two.call(dial, protocol, routed.one.address, B + INSIDE) == routed.two.address

    def test_cuts_what_is_open(self, routed: World, protocol: str) -> None:
        callers = [
            Caller(where, protocol, routed.one.address, A + INSIDE)
            for where in (routed.one, routed.two, routed.b, routed.c)
        ]
        assert {caller.say("more") for caller in callers} <= {"more", *(caller.source for caller in callers)}
        routed.one.call(routes.close_route, A, routed.a.address)
        assert [caller.say("again") for caller in callers] == [CUT[protocol]] * len(callers)

    def test_cuts_when_the_next_container_has_the_same_address(self, routed: World, protocol: str) -> None:
        caller = Caller(routed.two, protocol, routed.one.address, A + INSIDE)
        routed.one.call(routes.close_route, A, routed.a.address)
        routed.one.call(begin, FREE, routed.a.address, routed.a.first.pid)
        assert caller.say("again") == CUT[protocol]
        routed.one.call(routes.close_route, FREE, routed.a.address)

    def test_cuts_when_the_next_container_has_the_same_block(self, routed: World, protocol: str) -> None:
        caller = Caller(routed.two, protocol, routed.one.address, A + MORE[0])
        routed.one.call(begin, A, routed.b.address, routed.b.first.pid)
        assert caller.say("again") == CUT[protocol]
        routed.one.call(begin, A, routed.a.address, routed.a.first.pid)

    def test_cuts_after_a_flush(self, routed: World, protocol: str) -> None:
        caller = Caller(routed.two, protocol, routed.one.address, A + INSIDE)
        routed.one.run("nft", "delete", "table", "ip", "yarn_kata")
        routed.one.call(routes.close_route, A, routed.a.address)
        assert caller.say("again") == CUT[protocol]

    def test_leaves_others_open(self, routed: World, protocol: str) -> None:
        caller = Caller(routed.two, protocol, routed.one.address, B + INSIDE)
        routed.one.call(routes.close_route, A, routed.a.address)
        assert caller.say("again") == ("again" if protocol == "tcp" else routed.two.address)


class TestForeign:
    """Ports that Docker publishes itself."""

    @pytest.mark.parametrize("port", [8080, FREE + INSIDE], ids=["elsewhere", "in the pool"])
    def test_published_port_works(self, routed: World, port: int) -> None:
        publish = f"-t nat -I PREROUTING -p tcp --dport {port} -j DNAT --to {routed.b.address}:{OUTSIDE}"
        accept = f"-A DOCKER -p tcp -d {routed.b.address} --dport {OUTSIDE} -j ACCEPT"
        if "-A FORWARD -o docker0 -j DOCKER" not in routed.one.firewall():
            routed.one.run("iptables", "-A", "FORWARD", "-o", "docker0", "-j", "DOCKER")
        for rule in (publish, accept):
            routed.one.run("iptables", *rule.split())
        assert routed.two.call(dial, "tcp", routed.one.address, port) == routed.two.address


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with wire() as between, removed(Node(between, 1, bridged=True, proxy=True)) as made:
        yield made


@pytest.fixture
def bare(node: Node) -> Node:
    """A node without a rule."""
    node.run("nft", "flush", "ruleset")
    return node


def open_many(count: int) -> dict[int, str]:
    """Open routes of 16 ports each, close every other one, and return what is left in the kernel."""
    pool: Ports = {"mode": "on", "first": 16384, "last": 65535, "block": 16}
    wanted = {16384 + 16 * number: f"172.17.{1 + number // 250}.{1 + number % 250}" for number in range(count)}
    for first_port, address in wanted.items():
        routes.open_route(first_port, address, pool, dict)
    assert routes.routes() == wanted
    for first_port, address in list(wanted.items())[::2]:
        routes.close_route(first_port, address)
        del wanted[first_port]
    assert routes.routes() == wanted
    return wanted


class TestBookkeeping:
    def test_a_thousand_routes(self, bare: Node) -> None:
        assert len(bare.call(open_many, 1000)) == 500

    def test_without_a_table(self, bare: Node) -> None:
        assert bare.call(routes.routes) == {}
        assert bare.call(routes.table_present) is False
        bare.call(routes.close_route, A, "172.17.0.2")
        bare.call(routes.remove_table)
        assert bare.call(routes.table_present) is False

    def test_again_and_another_address(self, bare: Node) -> None:
        for address in ("172.17.0.2", "172.17.0.2", "172.17.0.3"):
            bare.call(routes.open_route, A, address, POOL, dict)
            assert bare.call(routes.routes) == {A: address}

    def test_closes_only_its_own(self, bare: Node) -> None:
        bare.call(routes.open_route, A, "172.17.0.3", POOL, dict)
        bare.call(routes.close_route, A, "172.17.0.2")
        bare.call(routes.close_route, A, None)
        assert bare.call(routes.routes) == {A: "172.17.0.3"}
        bare.call(routes.close_route, A, "172.17.0.3")
        bare.call(routes.close_route, A, "172.17.0.3")
        assert bare.call(routes.routes) == {}

    def test_closed_by_many_at_once(self, bare: Node) -> None:
        bare.call(routes.open_route, A, "172.17.0.3", POOL, dict)
        closers = [bare.spawn(routes.close_route, A, "172.17.0.3") for _ in range(8)]
        assert [closer.result() for closer in closers] == [None] * 8
        assert bare.call(routes.routes) == {}

    def test_another_block_size(self, bare: Node) -> None:
        bare.call(routes.open_route, A, "172.17.0.2", POOL, dict)
        with pytest.raises(Refused, match=r"1 routes of another size.*ports.block = 128"):
            bare.call(routes.open_route, B, "172.17.0.3", {**POOL, "block": 128}, dict)
        bare.call(routes.close_route, A, "172.17.0.2")
        bare.call(routes.open_route, B, "172.17.0.3", {**POOL, "block": 128}, dict)
        assert bare.call(routes.routes) == {B: "172.17.0.3"}

    def test_no_forwarding(self, bare: Node) -> None:
        bare.sysctl("net.ipv4.ip_forward", 0)
        with pytest.raises(Refused, match="sysctl -w net.ipv4.ip_forward=1"):
            bare.call(routes.open_route, A, "172.17.0.2", POOL, dict)
        bare.sysctl("net.ipv4.ip_forward", 1)
        assert bare.call(routes.table_present) is False

    def test_remove_leaves_nothing(self, bare: Node) -> None:
        bare.start_docker()
        before = bare.firewall()
        bare.call(routes.open_route, A, "172.17.0.2", POOL, dict)
        assert bare.call(routes.table_present) is True
        assert bare.firewall() != before
        bare.call(routes.remove_table)
        assert bare.firewall() == before
        assert "yarn_kata" not in bare.run("nft", "list", "tables")
