"""A free block of the node's ports.

The kernel lists the sockets in the pool in 0.3 ms; trying to bind to each port of one block takes 3.

Source: linux/inet_diag.h, linux/sock_diag.h.
"""

from __future__ import annotations

import _socket
import struct

from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.node import netlink

_SOCK_DIAG_BY_FAMILY = 20
_REQUEST = struct.Struct("=BBBxI48x")  # family, protocol, extensions, states, an id that matches all
_LISTEN, _BOUND = 1 << 10, 1 << 13  # TCP_LISTEN; TCP_BOUND_INACTIVE, which Linux before 6.8 does not list
_ANY_STATE = 0xFFFFFFFF
_BYTECODE = 1  # INET_DIAG_REQ_BYTECODE
_SOURCE_AT_LEAST, _SOURCE_AT_MOST = 2, 3  # INET_DIAG_BC_S_GE, _S_LE
_OPERATION = struct.Struct("=BBH")  # code, bytes to skip if true, bytes to skip if not; or 0, 0, a port
_PORT = struct.Struct("!H")
_PORT_OFFSET = 4  # of the source port in struct inet_diag_msg


def free_block(first: int, last: int, size: int, taken: set[int], after: int) -> int | None:
    """Return the first port of the next free block after block `after`, None if there is none.

    The blocks are the aligned ones of `size` ports, a power of two, in [first, last]; they are gone through
    in a circle, so that the one that was given back last comes last.  Free is a block that is not in
    `taken` (first ports) and has no port on which a socket of this node listens or to which one is bound:
    TCP or UDP, IPv4 or IPv6, on any address.  Raises Refused where the kernel cannot list sockets.
    """
    blocks = range(-(-first // size) * size, last - size + 2, size)
    busy = {port - port % size for port in _ports_in_use(first, last)}
    in_turn = [block for block in blocks if block > after] + [block for block in blocks if block <= after]
    return next((block for block in in_turn if block not in taken and block not in busy), None)


def _ports_in_use(first: int, last: int) -> set[int]:
    """Return the ports in [first, last] of the sockets in this network namespace."""
    kinds = ((_socket.IPPROTO_TCP, _LISTEN | _BOUND), (_socket.IPPROTO_UDP, _ANY_STATE))
    try:
        return {
            _PORT.unpack_from(body, _PORT_OFFSET)[0]
            for protocol, states in kinds
            for family in (_socket.AF_INET, _socket.AF_INET6)
            for body in netlink.dump(
                netlink.SOCK_DIAG,
                _SOCK_DIAG_BY_FAMILY,
                _REQUEST.pack(family, protocol, 0, states) + _between(first, last),
            )
        }
    except OSError as error:
        raise Refused(
            f"the kernel does not say which ports of this node are in use ({error}); run: modprobe -a tcp_diag udp_diag"
        ) from None


def _between(first: int, last: int) -> bytes:
    """Return the filter for source ports in [first, last]: to skip past its end is to reject."""
    at_least = _OPERATION.pack(_SOURCE_AT_LEAST, 8, 20) + _OPERATION.pack(0, 0, first)
    at_most = _OPERATION.pack(_SOURCE_AT_MOST, 8, 12) + _OPERATION.pack(0, 0, last)
    return netlink.attribute(_BYTECODE, at_least + at_most)
