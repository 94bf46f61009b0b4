"""The kernel's table of connections, over netlink.

Source: linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import _socket
import struct

from yarn_kata_runtime.node import netlink

_DELETE = 1 << 8 | 2  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE
_IPV4 = struct.pack("!BBH", _socket.AF_INET, 0, 0)  # family, version, resource
_MARK, _MARK_MASK = 8, 21  # CTA_*
_WHOLE = 0xFFFFFFFF
_NUMBER = struct.Struct("!I")


def forget(mark: int) -> None:
    """Forget every connection with this mark: the next packet of one is as of none.

    The kernel goes through the connections of all of the machine, 0.1 ms and 0.15 ms for each 1,000 of
    them.  To list those of an address and delete them one by one costs 10 ms on an empty table.
    """
    marked = netlink.attribute(_MARK, _NUMBER.pack(mark)) + netlink.attribute(_MARK_MASK, _NUMBER.pack(_WHOLE))
    netlink.tell(netlink.NETFILTER, [netlink.message(_DELETE, netlink.ACK, _IPV4 + marked)], 1)
