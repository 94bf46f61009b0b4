"""Elements of an nftables map in a table of family ip, over netlink; those of the node's own table.

One element costs 0.05 ms of CPU this way and 20 ms through an `nft` process, at any size of a hash map.
The kernel lets whoever removed one wait for a grace period when the socket closes: 8-16 ms, no CPU.
OSError: ENOENT where the table, the map or an element to remove or read is missing, EEXIST (older kernels:
EBUSY) where an element to add is there with other data.

Source: linux/netfilter/nf_tables.h, linux/netfilter/nfnetlink.h.
"""

from __future__ import annotations

import _socket
import struct

from yarn_kata_runtime.node import netlink

_NFGENMSG = struct.Struct("!BBH")  # family, version, resource
_SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
_GETSET, _NEWSETELEM, _GETSETELEM, _DELSETELEM = 10, 12, 13, 14  # NFT_MSG_*
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11  # NFNL_MSG_*
_CREATE = 0x400  # NLM_F_CREATE
_TABLE, _SET, _ELEMENTS = 1, 2, 3  # NFTA_SET_ELEM_LIST_*
_ELEMENT = 1  # NFTA_LIST_ELEM
_KEY, _DATA = 1, 2  # NFTA_SET_ELEM_*
_VALUE = 1  # NFTA_DATA_VALUE
_SET_TABLE, _SET_NAME, _SET_USERDATA = 1, 2, 13  # NFTA_SET_*


def _kind(message: int) -> int:
    return _SUBSYSTEM << 8 | message


def _text(kind: int, text: str) -> bytes:
    return netlink.attribute(kind, text.encode() + b"\0")


def _pairs(body: bytes) -> dict[bytes, bytes]:
    """Return the elements in one of the kernel's answers."""
    elements = netlink.attributes(netlink.inner(body[_NFGENMSG.size :], _ELEMENTS))
    return {netlink.inner(element, _KEY, _VALUE): netlink.inner(element, _DATA, _VALUE) for _, element in elements}


class Elements:
    """Those of the map `name` of `table`; keys and data are as the kernel has them."""

    __slots__ = ("_names", "_set_names")

    def __init__(self, table: str, name: str) -> None:
        family = _NFGENMSG.pack(_socket.AF_INET, 0, 0)
        self._names = family + _text(_TABLE, table) + _text(_SET, name)
        self._set_names = family + _text(_SET_TABLE, table) + _text(_SET_NAME, name)

    def addition(self, key: bytes, data: bytes) -> bytes:
        """Return the change that adds an element; one that is there already with this data stays."""
        value = netlink.nest(_DATA, netlink.attribute(_VALUE, data))
        return netlink.message(_kind(_NEWSETELEM), netlink.ACK | _CREATE, self._list(key, value))

    def removal(self, key: bytes) -> bytes:
        """Return the change that removes an element."""
        return netlink.message(_kind(_DELSETELEM), netlink.ACK, self._list(key))

    def data(self, key: bytes) -> bytes:
        """Return the data of one element."""
        return _pairs(netlink.ask(netlink.NETFILTER, _kind(_GETSETELEM), self._list(key)))[key]

    def all(self) -> dict[bytes, bytes]:
        """Return every element as key -> data."""
        found = {}
        for body in netlink.dump(netlink.NETFILTER, _kind(_GETSETELEM), self._names):
            found.update(_pairs(body))
        return found

    def userdata(self) -> bytes:
        """Return what `nft` stored with the map; its comment is in there, ended by a null byte."""
        answer = netlink.ask(netlink.NETFILTER, _kind(_GETSET), self._set_names)
        return netlink.inner(answer[_NFGENMSG.size :], _SET_USERDATA)

    def _list(self, key: bytes, data: bytes = b"") -> bytes:
        element = netlink.nest(_ELEMENT, netlink.nest(_KEY, netlink.attribute(_VALUE, key)), data)
        return self._names + netlink.nest(_ELEMENTS, element)


TABLE = "yarn_kata"
BLOCKS = Elements(TABLE, "blocks")  # first port of a block -> address of its container
MARKS = Elements(TABLE, "marks")  # first port of a block -> mark of the connections to it


ROUTED = 0x10000000  # the bit in a connection's mark that says it goes through a route


def mark(first_port: int) -> int:
    """Return the mark of the connections to a block."""
    return ROUTED | first_port


def comment(block: int) -> str:
    """Return the comment of the map in a table whose rules are for blocks of this many ports."""
    return f"blocks of {block} ports"


def made_for(block: int) -> bool:
    """Say whether the node's table is there and its rules are for blocks of this many ports."""
    try:
        return comment(block).encode() + b"\0" in BLOCKS.userdata()
    except FileNotFoundError:
        return False


def commit(*changes: bytes) -> None:
    """Make changes as one transaction: all of them take effect, or none."""
    body = _NFGENMSG.pack(_socket.AF_UNSPEC, 0, _SUBSYSTEM)
    begin, end = netlink.message(_BATCH_BEGIN, 0, body), netlink.message(_BATCH_END, 0, body)
    netlink.tell(netlink.NETFILTER, [begin, *changes, end], len(changes))
