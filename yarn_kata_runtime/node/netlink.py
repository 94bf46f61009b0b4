"""Netlink: messages, attributes and their exchange with the kernel, by the standard library alone.

A message is a header of 16 bytes and a body; a body is the family's own few bytes and attributes.  Both are
padded to 4 bytes and in the machine's byte order; what netfilter puts into an attribute is big-endian.
Every exchange has a socket of its own and ends after 5 s (TimeoutError) if the kernel keeps silent.
Errors are OSError with the kernel's errno.

Source: linux/netlink.h, netlink(7).
"""

from __future__ import annotations

import _socket
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROUTE, SOCK_DIAG, NETFILTER = 0, 4, 12  # NETLINK_*: the kernel's ends of netlink
REQUEST, ACK, DUMP = 0x1, 0x4, 0x300  # NLM_F_*

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_ERRNO = struct.Struct("=i")
_NESTED = 0x8000
_TYPE = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_DUMP_INTERRUPTED = 0x10
_DUMP_TRIES = 20
_BUFFER = 65536
_SECONDS = 5.0


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute, padded."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def nest(kind: int, *attributes: bytes) -> bytes:
    """Return an attribute that holds others."""
    return attribute(kind | _NESTED, b"".join(attributes))


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and value of the attributes in a body that the kernel sent; stops at a malformed one."""
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _TYPE, data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3


def inner(data: bytes, *path: int) -> bytes:
    """Return the value of the attribute at the end of a path of nested types, b"" if it is not there."""
    for step in path:
        data = dict(attributes(data)).get(step, b"")
    return data


def message(kind: int, flags: int, body: bytes) -> bytes:
    """Return one request; with ACK among the flags the kernel confirms it."""
    return _HEADER.pack(_HEADER.size + len(body), kind, REQUEST | flags, 0, 0) + body


def tell(protocol: int, messages: Sequence[bytes], confirmed: int) -> None:
    """Send messages together and wait until `confirmed` of them are; the first error is raised."""
    with _Exchange(protocol) as exchange:
        exchange.send(b"".join(messages))
        while confirmed > 0:
            for kind, _, body in exchange.receive():
                if kind == _NLMSG_ERROR:
                    _raise(body)
                    confirmed -= 1


def ask(protocol: int, kind: int, body: bytes) -> bytes:
    """Send a request that has one answer and return the answer's body."""
    with _Exchange(protocol) as exchange:
        exchange.send(message(kind, 0, body))
        for answer, _, answer_body in exchange.receive():
            if answer != _NLMSG_ERROR:
                return answer_body
            _raise(answer_body)
    raise OSError(f"netlink answered request {kind} with nothing")


def dump(protocol: int, kind: int, body: bytes) -> list[bytes]:
    """Send a request that has any number of answers and return their bodies.

    The kernel says when what it lists changed meanwhile; then it is asked again.
    """
    for _ in range(_DUMP_TRIES):
        bodies = _dump_once(protocol, message(kind, DUMP, body))
        if bodies is not None:
            return bodies
    raise OSError(f"what netlink lists for request {kind} changed {_DUMP_TRIES} times while it was read")


def _dump_once(protocol: int, request: bytes) -> list[bytes] | None:
    bodies: list[bytes] = []
    with _Exchange(protocol) as exchange:
        exchange.send(request)
        while True:
            for kind, flags, body in exchange.receive():
                if flags & _DUMP_INTERRUPTED:
                    return None
                if kind == _NLMSG_ERROR:
                    _raise(body)
                if kind == _NLMSG_DONE:
                    _raise(body)
                    return bodies
                bodies.append(body)


def _raise(body: bytes) -> None:
    """Raise the errno that an error or the end of a dump starts with; 0 is none."""
    errno = -_ERRNO.unpack_from(body)[0] if len(body) >= _ERRNO.size else 0
    if errno > 0:
        raise OSError(errno, os.strerror(errno))


class _Exchange:
    """A netlink socket, as a context manager."""

    __slots__ = ("_socket",)

    def __init__(self, protocol: int) -> None:
        self._socket = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, protocol)
        self._socket.settimeout(_SECONDS)

    def __enter__(self) -> _Exchange:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send to the kernel."""
        self._socket.sendall(data)

    def receive(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield type, flags and body of each message of the next datagram."""
        data = self._socket.recv(_BUFFER)
        offset = 0
        while offset + _HEADER.size <= len(data):
            length, kind, flags, _, _ = _HEADER.unpack_from(data, offset)
            if length < _HEADER.size:
                return
            yield kind, flags, data[offset + _HEADER.size : offset + length]
            offset += (length + 3) & ~3
