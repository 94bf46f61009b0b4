"""A container's route: what comes to its block of the node's ports goes to its address.

The node's store says which routes there should be; the kernel has them as elements in the table of
`nftables`, which is made when a route to open finds it missing.
"""

from __future__ import annotations

import _socket
import errno
import struct

from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.node import conntrack
from yarn_kata_runtime.node.elements import BLOCKS, MARKS, TABLE, commit, made_for, mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from yarn_kata_runtime.compiled import Ports

_PORT = struct.Struct("!H")
_MARK = struct.Struct("=I")


def open_route(first_port: int, address: str, ports: Ports, live: Callable[[], dict[int, str]]) -> None:
    """Send the block that begins at `first_port` to the container at `address`, in place of any other.

    `live` tells the node's routes, first port -> address, should the table have to be made: the first time,
    and after a flush.  Raises Refused.
    """
    try:
        if not made_for(ports["block"]):
            from yarn_kata_runtime.node import nftables  # rarely needed: not at every verb's cost

            nftables.set_up(ports["block"], live)
        _put(first_port, address)
    except OSError as error:
        raise _refused(f"open the route of port block {first_port} to {address}", error) from None


def close_route(first_port: int, address: str | None) -> None:
    """End the block's route to `address`, and the connections through it.

    One that is not there, or leads elsewhere by now, is closed.  Raises Refused.
    """
    if address is None:  # the container never got as far as to have a route
        return
    key = _PORT.pack(first_port)
    try:
        if _held(key) not in (_socket.inet_aton(address), None):
            return
        _remove(key)
        conntrack.forget(mark(first_port))
    except OSError as error:
        raise _refused(f"close the route of port block {first_port} to {address}", error) from None


def routes() -> dict[int, str]:
    """Return the routes that the kernel has now, first port -> address; none without the table."""
    try:
        found = BLOCKS.all()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _refused("list the routes", error) from None
    return {_PORT.unpack(key)[0]: _socket.inet_ntoa(address) for key, address in found.items()}


def table_present() -> bool:
    """Say whether the node's table is there."""
    try:
        BLOCKS.userdata()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _refused("look for the table of routes", error) from None
    return True


def remove_table() -> None:
    """Remove the table with every route, and the rule on Docker's side.

    To be called inside a transaction of the store that finds no route in it: so none can be opened meanwhile.
    What is not there is no error.  Raises Refused.
    """
    from yarn_kata_runtime.node import nftables

    try:
        nftables.remove()
    except OSError as error:
        raise _refused("remove the table of routes", error) from None


def _held(key: bytes) -> bytes | None:
    """Return the address that the kernel has for a block, None if it has none."""
    try:
        return BLOCKS.data(key)
    except FileNotFoundError:
        return None


def _put(first_port: int, address: str) -> None:
    key = _PORT.pack(first_port)
    additions = [
        BLOCKS.addition(key, _socket.inet_aton(address)),
        MARKS.addition(key, _MARK.pack(mark(first_port))),
    ]
    try:
        commit(*additions)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.EBUSY):
            raise
        commit(BLOCKS.removal(key), *additions)
        conntrack.forget(mark(first_port))


def _remove(key: bytes) -> None:
    try:
        commit(BLOCKS.removal(key), MARKS.removal(key))
    except FileNotFoundError:  # closed by another delete, or by a flush, after which its connections go on
        return


def _refused(what: str, error: OSError) -> Refused:
    return Refused(f"the kernel does not {what} ({error}); look at: nft list table ip {TABLE}")
