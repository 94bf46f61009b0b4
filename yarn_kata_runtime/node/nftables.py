"""The node's nftables table `ip yarn_kata`: its text, its set-up and its removal."""

from __future__ import annotations

import fcntl
import os
import time

from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.node import docker_user, programs
from yarn_kata_runtime.node.elements import BLOCKS, ROUTED, TABLE, comment, made_for, mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_NFT = "/usr/sbin/nft"
_NAMESPACE = "/proc/self/ns/net"
_FORWARDING = "/proc/sys/net/ipv4/ip_forward"
_LOCK_SECONDS = 30.0
_LOCK_PAUSE = 0.02
_PORTS = 0x10000

# The bit of a packet that goes back to the interface it came from.  Its sender's address is replaced by the
# node's, or the answer would take the short way and not be recognised; senders elsewhere keep theirs.
_HAIRPIN = 0x20000000

_TEXT = """\
add table ip {table}
delete table ip {table}
table ip {table} {{
	map blocks {{
		type inet_service : ipv4_addr
		comment "{comment}"
		{blocks}
	}}
	map marks {{
		type inet_service : mark
		{marks}
	}}
	chain prerouting {{
		type nat hook prerouting priority dstnat - 5; policy accept;
		fib daddr type local meta l4proto {{ tcp, udp }} goto translate
	}}
	chain output {{
		type nat hook output priority -105; policy accept;
		ip daddr != 127.0.0.0/8 fib daddr type local meta l4proto {{ tcp, udp }} goto translate
	}}
	chain translate {{
		ct mark set th dport & {mask} map @marks
		dnat to th dport & {mask} map @blocks
	}}
	chain forward {{
		type filter hook forward priority filter - 5; policy accept;
		ct mark & {routed} == {routed} goto routed
	}}
	chain routed {{
		meta mark set meta mark | {accepted}
		ct direction original fib daddr . iif oif exists meta mark set meta mark | {hairpin}
	}}
	chain postrouting {{
		type nat hook postrouting priority srcnat - 5; policy accept;
		meta mark & {hairpin} == {hairpin} masquerade
	}}
}}
"""


def ruleset(block: int, routes: dict[int, str]) -> str:
    """Return the text that makes the table anew, whatever is there, with these routes.

    `block` is the number of ports in a block, a power of two; `routes` is first port -> address.
    """
    return _TEXT.format(
        table=TABLE,
        comment=comment(block),
        mask=f"{_PORTS - block:#x}",
        routed=f"{ROUTED:#x}",
        accepted=f"{docker_user.ACCEPTED:#x}",
        hairpin=f"{_HAIRPIN:#x}",
        blocks=_elements(f"{port} : {address}" for port, address in routes.items()),
        marks=_elements(f"{port} : {mark(port):#x}" for port in routes),
    )


def set_up(block: int, live: Callable[[], dict[int, str]]) -> None:
    """Make the table with the routes that `live` tells (first port -> address), once if many ask at once.

    Raises Refused where the node does not forward, or has open routes of blocks of another size.
    """
    with _Lock():
        if made_for(block):
            return
        _check_forwarding()
        _check_size(block)
        docker_user.insert()
        _nft(ruleset(block, live()))


def remove() -> None:
    """Remove the table and the rule on Docker's side; what is not there is no error."""
    with _Lock():
        if os.path.exists(_NFT):
            _nft(f"add table ip {TABLE}\ndelete table ip {TABLE}\n")
        docker_user.remove()


def _elements(elements: Iterable[str]) -> str:
    joined = ", ".join(elements)
    return f"elements = {{ {joined} }}" if joined else ""


def _check_forwarding() -> None:
    with open(_FORWARDING, encoding="ascii") as file:
        if file.read().strip() == "0":
            raise Refused("this node does not forward packets to containers; run: sysctl -w net.ipv4.ip_forward=1")


def _check_size(block: int) -> None:
    """Refuse a table for another size of block while routes of the old size are open."""
    try:
        count = len(BLOCKS.all())
    except FileNotFoundError:
        return
    if count:
        raise Refused(
            f"this node has {count} routes of another size of port block than ports.block = {block}; "
            "set ports.block back, or let the node's YARN containers end first"
        )


def _nft(text: str) -> None:
    status, output = programs.run([_NFT, "-f", "-"], text)
    if status:
        raise Refused(f"nftables refuses the table ip {TABLE}: {output!r}; check the kernel's nf_tables modules")


class _Lock:
    """One set-up or removal at a time in this network namespace, as a context manager."""

    __slots__ = ("_file",)

    def __enter__(self) -> None:
        self._file = os.open(_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(self._file)
                    raise Refused(
                        f"another process has been setting up the table ip {TABLE} for {_LOCK_SECONDS:.0f} s; "
                        "see what holds it: ps -ef | grep -e nft -e iptables"
                    ) from None
            time.sleep(_LOCK_PAUSE)

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
