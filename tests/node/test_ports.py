"""Free blocks: the order in which they are given, and the sockets that they must not contain."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.node.hosts import Namespace, removed, require
from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.node import netlink, ports
from yarn_kata_runtime.node.ports import free_block

FIRST, LAST, SIZE = 20480, 21503, 256  # a pool of four blocks
BLOCKS = [20480, 20736, 20992, 21248]
BUSY = 20800  # a port of the second

# Linux before 6.8 does not list a TCP socket that is bound and neither listens nor connects.
LISTS_BOUND = tuple(int(part) for part in os.uname().release.split(".")[:2]) >= (6, 8)
TCP_STATES = ["listening", *(["bound"] if LISTS_BOUND else [])]
ADDRESSES = ["0.0.0.0", "127.0.0.1", "::", "::1"]
SOCKETS = [("tcp", state, address) for state in TCP_STATES for address in ADDRESSES] + [
    ("udp", state, address) for state in ("bound", "connected") for address in ADDRESSES
]


@pytest.fixture(scope="module")
def namespace(needs_root: None) -> Iterator[Namespace]:
    require("ip")
    with removed(Namespace()) as made:
        yield made


def blocks_beside(protocol: str, state: str, address: str, used: list[int], taken: set[int]) -> list[int]:
    """Take blocks until none is left while a socket of this kind is at each port of `used`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    found = []
    with ExitStack() as stack:
        for port in used:
            made = stack.enter_context(socket.socket(family, kind))
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((address, port))
            if state == "listening":
                made.listen()
            if state == "connected":
                made.connect(("::1" if ":" in address else "127.0.0.1", 9))
        after = 0
        while (block := free_block(FIRST, LAST, SIZE, taken, after)) is not None:
            found.append(block)
            taken.add(block)
            after = block
    return found


class TestSockets:
    @pytest.mark.parametrize(("protocol", "state", "address"), SOCKETS)
    def test_block_is_skipped(self, namespace: Namespace, protocol: str, state: str, address: str) -> None:
        found = namespace.call(blocks_beside, protocol, state, address, [BUSY], set())
        assert found == [20480, 20992, 21248]

    def test_first_and_last_port_of_a_block_count(self, namespace: Namespace) -> None:
        assert namespace.call(blocks_beside, "tcp", "listening", "::", [20735, 20992], set()) == [20736, 21248]

    def test_neighbours_of_the_pool_do_not(self, namespace: Namespace) -> None:
        assert namespace.call(blocks_beside, "udp", "bound", "::", [FIRST - 1, LAST + 1], set()) == BLOCKS

    def test_all_in_use(self, namespace: Namespace) -> None:
        assert namespace.call(blocks_beside, "tcp", "listening", "::", [*BLOCKS], set()) == []

    def test_hundreds_of_sockets(self, namespace: Namespace) -> None:
        used = list(range(20480, 20480 + 600))
        assert namespace.call(blocks_beside, "tcp", "listening", "127.0.0.1", used, set()) == [21248]

    def test_kernel_that_does_not_tell(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> list[bytes]:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))

        monkeypatch.setattr(netlink, "dump", refuse)
        with pytest.raises(Refused, match="modprobe -a tcp_diag udp_diag"):
            free_block(FIRST, LAST, SIZE, set(), 0)


class TestTurn:
    @pytest.fixture(autouse=True)
    def quiet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ports, "_ports_in_use", lambda first, last: set())

    def test_block_given_back_comes_last(self) -> None:
        taken: set[int] = set()
        after, given = 0, []
        for _ in range(9):
            block = free_block(FIRST, LAST, SIZE, taken, after)
            assert block is not None
            given.append(block)
            after = block
        assert given == [*BLOCKS, *BLOCKS, BLOCKS[0]]

    def test_exhausted(self) -> None:
        assert free_block(FIRST, LAST, SIZE, set(BLOCKS), 20736) is None

    def test_pool_that_is_not_aligned(self) -> None:
        assert free_block(20000, 20992, SIZE, set(), 0) == 20224
        assert free_block(20000, 20992, SIZE, {20224, 20480, 20736}, 0) is None

    def test_pool_smaller_than_a_block(self) -> None:
        assert free_block(20481, 20735, SIZE, set(), 0) is None

    @given(
        st.integers(1024, 65535),
        st.integers(1024, 65535),
        st.integers(0, 12).map(lambda power: 1 << power),
        st.integers(0, 65535),
        st.data(),
    )
    def test_any_pool(self, first: int, last: int, size: int, after: int, data: st.DataObject) -> None:
        blocks = [block for block in range(0, 65536, size) if first <= block and block + size - 1 <= last]
        taken = set(data.draw(st.lists(st.sampled_from(blocks)))) if blocks else set()
        free = [block for block in blocks if block not in taken]
        later = [block for block in free if block > after]
        assert free_block(first, last, size, taken, after) == next(iter(later or free), None)
