"""The address of a container: from the text that the kernel writes, and of real network namespaces."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.node.hosts import Namespace, removed, require
from yarn_kata_runtime.node import addresses
from yarn_kata_runtime.node.addresses import container_address

HEADER = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"


def little(address: str) -> str:
    """As /proc/PID/net/route has it on a little-endian machine."""
    return "".join(f"{int(part):02X}" for part in reversed(address.split(".")))


def route(interface: str, destination: str, mask: str, metric: int = 0, gateway: str = "0.0.0.0") -> str:
    return f"{interface}\t{little(destination)}\t{little(gateway)}\t0001\t0\t0\t{metric}\t{little(mask)}\t0\t0\t0\n"


def trie(*local: str) -> str:
    leaves = "".join(f"        |-- {address}\n           /32 host LOCAL\n" for address in local)
    edges = "        |-- 172.17.0.0\n           /16 link UNICAST\n"
    edges += "        |-- 172.17.255.255\n           /32 link BROADCAST\n"
    top = "  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n"
    return f"Main:\n{top}{edges}{leaves}Local:\n{edges}{leaves}"


DEFAULT = route("eth0", "0.0.0.0", "0.0.0.0", gateway="172.17.0.1")
SUBNET = route("eth0", "172.17.0.0", "255.255.0.0")


class TestChoice:
    def test_of_a_docker_container(self) -> None:
        assert addresses._choose(trie("127.0.0.1", "172.17.0.2"), HEADER + DEFAULT + SUBNET) == "172.17.0.2"

    def test_with_two_networks_the_one_with_the_default_route(self) -> None:
        second = route("eth1", "10.1.0.0", "255.255.255.0")
        assert addresses._choose(trie("10.1.0.9", "172.17.0.2"), HEADER + second + DEFAULT + SUBNET) == "172.17.0.2"

    def test_with_two_default_routes_the_cheaper(self) -> None:
        dearer = route("eth1", "0.0.0.0", "0.0.0.0", metric=100) + route("eth1", "10.1.0.0", "255.255.255.0")
        assert addresses._choose(trie("10.1.0.9", "172.17.0.2"), HEADER + dearer + DEFAULT + SUBNET) == "172.17.0.2"

    def test_without_a_default_route_the_only_one(self) -> None:
        assert addresses._choose(trie("127.0.0.1", "172.17.0.2"), HEADER + SUBNET) == "172.17.0.2"

    def test_without_a_subnet_the_only_one(self) -> None:
        point = route("eth0", "0.0.0.0", "0.0.0.0", gateway="169.254.1.1")
        assert addresses._choose(trie("127.0.0.1", "10.5.6.7"), HEADER + point) == "10.5.6.7"

    def test_none_of_many(self) -> None:
        assert addresses._choose(trie("10.1.0.9", "172.17.0.2"), HEADER) is None

    def test_none_of_loopback_alone(self) -> None:
        assert addresses._choose(trie("127.0.0.1"), HEADER) is None

    def test_malformed_lines_are_passed_over(self) -> None:
        bad = "\neth0\neth0\tzz\tzz\t1\t0\t0\tx\ty\t\neth0\t1FFFFFFFFF\t0\t1\t0\t0\t0\t00000000\n"
        bad += "eth0\t-1\t0\t1\t0\t0\t0\t0\n"
        torn = "|--\n|-- 999.1.1.1\n/32 host LOCAL\n|-- 10.0.0.1 x\n/32 host\n"
        assert addresses._choose(torn + trie("172.17.0.2"), bad + DEFAULT + SUBNET) == "172.17.0.2"

    @given(st.text(), st.text())
    def test_any_text(self, fib_trie: str, routes: str) -> None:
        assert addresses._choose(fib_trie, routes) is None or "LOCAL" in fib_trie

    @given(st.ip_addresses(v=4), st.integers(1, 31), st.data())
    def test_any_subnet(self, address: object, prefix: int, data: st.DataObject) -> None:
        number = int(address)  # type: ignore[call-overload]
        mask = 0xFFFFFFFF << (32 - prefix) & 0xFFFFFFFF
        other = data.draw(st.integers(0, 0xFFFFFFFF).filter(lambda o: o & mask != number & mask and o >> 24 != 127))
        if number >> 24 == 127:
            return
        subnet = route("eth0", addresses._dotted(number & mask), addresses._dotted(mask))
        text = trie(addresses._dotted(other), addresses._dotted(number))
        assert addresses._choose(text, HEADER + DEFAULT + subnet) == str(address)


@pytest.fixture
def namespace(needs_root: None) -> Iterator[Namespace]:
    require("ip")
    with removed(Namespace()) as made:
        yield made


def address_inside(namespace: Namespace) -> str | None:
    sleeper = namespace.spawn(time.sleep, 60)
    try:
        return container_address(sleeper.pid)
    finally:
        sleeper.stop()


class TestNamespace:
    def test_without_an_interface(self, namespace: Namespace) -> None:
        assert address_inside(namespace) is None

    def test_with_two_interfaces(self, namespace: Namespace) -> None:
        for interface, address in (("eth0", "10.1.0.9/24"), ("eth1", "172.17.0.2/16")):
            namespace.ip("link", "add", interface, "type", "bridge")
            namespace.ip("address", "add", address, "dev", interface)
            namespace.ip("link", "set", interface, "up")
        assert address_inside(namespace) is None
        namespace.ip("route", "add", "default", "via", "172.17.0.1")
        assert address_inside(namespace) == "172.17.0.2"

    def test_of_a_process_that_is_gone(self) -> None:
        with pytest.raises(OSError, match="No such"):
            container_address(2**22 + 1)
