"""Netlink messages: as bytes, and against the kernel."""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yarn_kata_runtime.node import netlink

GETLINK, GETNEIGH = 18, 30  # RTM_*
NOOP = 1  # NLMSG_NOOP, which the kernel passes over
IFNAME = 3  # IFLA_IFNAME
IFINFO = struct.Struct("=BxHiII")
KINDS = st.integers(1, 0x3FFF)


class TestAttributes:
    @given(st.lists(st.tuples(KINDS, st.binary(max_size=70))))
    def test_read_back(self, wanted: list[tuple[int, bytes]]) -> None:
        data = b"".join(netlink.attribute(kind, value) for kind, value in wanted)
        assert len(data) % 4 == 0
        assert list(netlink.attributes(data)) == wanted

    @given(st.lists(KINDS, min_size=1, max_size=6), st.binary())
    def test_nested_read_back(self, path: list[int], value: bytes) -> None:
        data = netlink.attribute(path[-1], value)
        for kind in reversed(path[:-1]):
            data = netlink.nest(kind, data)
        assert netlink.inner(data, *path) == value

    @given(st.binary())
    def test_any_bytes_come_to_an_end(self, data: bytes) -> None:
        assert sum(len(value) for _, value in netlink.attributes(data)) <= len(data)
        assert len(netlink.inner(data, 1, 2)) <= len(data)

    def test_layout(self) -> None:
        assert netlink.attribute(5, b"\x01\x02\x03") == struct.pack("=HH", 7, 5) + b"\x01\x02\x03\x00"
        assert netlink.nest(5, b"") == struct.pack("=HH", 4, 0x8005)
        assert netlink.message(18, 4, b"abcd") == struct.pack("=IHHII", 20, 18, 5, 0, 0) + b"abcd"


def link(index: int) -> bytes:
    return IFINFO.pack(0, 0, index, 0, 0)


class TestKernel:
    def test_ask(self) -> None:
        assert netlink.inner(netlink.ask(netlink.ROUTE, GETLINK, link(1))[IFINFO.size :], IFNAME) == b"lo\0"

    def test_dump(self) -> None:
        found = netlink.dump(netlink.ROUTE, GETLINK, link(0))
        assert b"lo\0" in [netlink.inner(body[IFINFO.size :], IFNAME) for body in found]

    def test_errno_of_an_answer(self) -> None:
        with pytest.raises(OSError, match="No such device") as caught:
            netlink.ask(netlink.ROUTE, GETLINK, link(0x7FFFFFFF))
        assert caught.value.errno == errno.ENODEV

    def test_errno_of_a_message_that_is_told(self) -> None:
        with pytest.raises(OSError, match="No such device") as caught:
            netlink.tell(netlink.ROUTE, [netlink.message(GETLINK, netlink.ACK, link(0x7FFFFFFF))], 1)
        assert caught.value.errno == errno.ENODEV

    def test_errno_of_a_dump(self) -> None:
        with pytest.raises(OSError, match=".") as caught:
            netlink.dump(netlink.SOCK_DIAG, 20, struct.pack("=BBBxI48x", 99, 6, 0, 0))
        assert caught.value.errno == errno.EINVAL

    def test_unknown_protocol(self) -> None:
        with pytest.raises(OSError, match=".") as caught:
            netlink.ask(31, GETLINK, link(1))
        assert caught.value.errno in (errno.EPROTONOSUPPORT, errno.ECONNREFUSED)

    def test_silence_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(netlink, "_SECONDS", 0.05)
        with pytest.raises(TimeoutError):
            netlink.tell(netlink.ROUTE, [netlink.message(NOOP, 0, b"")], 1)

    def test_list_that_keeps_changing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tries = []

        def interrupted(protocol: int, request: bytes) -> None:
            tries.append(request)

        monkeypatch.setattr(netlink, "_dump_once", interrupted)
        with pytest.raises(OSError, match=f"changed {len(tries) or 20} times"):
            netlink.dump(netlink.ROUTE, GETNEIGH, link(0))
        assert len(tries) == 20
