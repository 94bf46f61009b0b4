"""The address of a container, read from outside its network namespace.

/proc/PID/net is the view of the namespace of PID: `route` has the routes with their interfaces, all numbers in
hexadecimal and in network byte order read as a native integer; `fib_trie` has the local addresses.
"""

from __future__ import annotations

import _socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Route = tuple[str, int, int, int]  # interface, destination, mask, metric

_LOOPBACK = 127
_LIMIT = 1 << 20  # of a file, bytes: a container has few routes


def container_address(pid: int) -> str | None:
    """Return the IPv4 address of the network namespace of `pid`, None if it has none or more than one.

    That is the one in the subnet of the interface with the default route, otherwise the only one that is
    not of loopback.  Raises OSError where the process is gone.
    """
    return _choose(_read(f"/proc/{pid}/net/fib_trie"), _read(f"/proc/{pid}/net/route"))


def _read(path: str) -> str:
    with open(path, "rb") as file:
        return file.read(_LIMIT).decode("ascii", "replace")


def _choose(fib_trie: str, route: str) -> str | None:
    local = sorted(set(_local_addresses(fib_trie)))
    for destination, mask in _subnets_at_default(route):
        for address in local:
            if address & mask == destination:
                return _dotted(address)
    return _dotted(local[0]) if len(local) == 1 else None


def _local_addresses(fib_trie: str) -> Iterator[int]:
    """Yield the addresses that are followed by "/32 host LOCAL", without loopback's."""
    address = None
    for line in fib_trie.splitlines():
        words = line.split()
        if words[:1] == ["|--"] and len(words) == 2:
            address = _number(words[1])
        elif words == ["/32", "host", "LOCAL"] and address is not None and address >> 24 != _LOOPBACK:
            yield address


def _subnets_at_default(route: str) -> list[tuple[int, int]]:
    """Return destination and mask of what is directly at the interface of the cheapest default route."""
    routes = list(_routes(route))
    defaults = [(metric, interface) for interface, _, mask, metric in routes if not mask]
    if not defaults:
        return []
    return [(destination, mask) for interface, destination, mask, _ in routes if mask and interface == min(defaults)[1]]


def _routes(text: str) -> Iterator[Route]:
    """Yield the well-formed lines: Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT."""
    for line in text.splitlines():
        words = line.split()
        try:
            yield words[0], _swapped(words[1]), _swapped(words[7]), int(words[6])
        except (IndexError, ValueError, OverflowError):
            continue


def _swapped(text: str) -> int:
    return int.from_bytes(int(text, 16).to_bytes(4, sys.byteorder), "big")


def _number(dotted: str) -> int | None:
    try:
        return int.from_bytes(_socket.inet_pton(_socket.AF_INET, dotted), "big")
    except OSError:
        return None


def _dotted(address: int) -> str:
    return _socket.inet_ntoa(address.to_bytes(4, "big"))
