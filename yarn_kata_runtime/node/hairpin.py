"""Containers that dial their own node address: their bridge port must send frames back where they came from.

Only where bridged frames pass iptables (net.bridge.bridge-nf-call-iptables = 1): there the address is
translated inside the bridge, which never returns a frame to the port that it came from, unless told to.
Elsewhere the frame is routed, and a port in hairpin mode would only echo every broadcast.

Source: linux/net_namespace.h, linux/if_link.h; `bridge link set dev VETH hairpin on` sends the same.
"""

from __future__ import annotations

import errno
import struct

from yarn_kata_runtime.node import netlink

_BRIDGED = "/proc/sys/net/bridge/bridge-nf-call-iptables"
_NEWNSID, _GETNSID, _GETLINK, _SETLINK = 88, 90, 18, 19  # RTM_*
_ANY_FAMILY = bytes(4)
_AF_BRIDGE = 7
_NSID, _PID = 1, 2  # NETNSA_*
_IFINFO = struct.Struct("=BxHiII")  # family, type, index, flags, change
_LINK, _MASTER, _PROTINFO, _LINK_NSID, _TARGET_NSID = 5, 10, 12, 37, 46  # IFLA_*
_MODE = 4  # IFLA_BRPORT_MODE
_NUMBER = struct.Struct("=i")
_AUTO = _NUMBER.pack(-1)


def allow(pid: int) -> None:
    """Set hairpin mode on the bridge ports of the network namespace of `pid`, if this node needs it."""
    if not _bridged_frames_are_filtered():
        return
    namespace = _namespace_id(pid)
    for port in _peers(namespace):
        if _is_bridge_port(port, namespace):
            mode = netlink.nest(_PROTINFO, netlink.attribute(_MODE, b"\1"))
            body = _IFINFO.pack(_AF_BRIDGE, 0, port, 0, 0) + mode
            netlink.tell(netlink.ROUTE, [netlink.message(_SETLINK, netlink.ACK, body)], 1)


def _bridged_frames_are_filtered() -> bool:
    try:
        with open(_BRIDGED, encoding="ascii") as file:
            return file.read().strip() == "1"
    except FileNotFoundError:
        return False


def _namespace_id(pid: int) -> bytes:
    """Return what this network namespace calls that of `pid`; the kernel chooses when it has no name yet."""
    who = netlink.attribute(_PID, _NUMBER.pack(pid))
    naming = netlink.message(_NEWNSID, netlink.ACK, _ANY_FAMILY + who + netlink.attribute(_NSID, _AUTO))
    try:
        netlink.tell(netlink.ROUTE, [naming], 1)
    except OSError as error:
        if error.errno != errno.EEXIST:
            raise
    answer = netlink.ask(netlink.ROUTE, _GETNSID, _ANY_FAMILY + who)
    return netlink.inner(answer[len(_ANY_FAMILY) :], _NSID)


def _peers(namespace: bytes) -> list[int]:
    """Return the indexes of the interfaces at the other end of those in the namespace."""
    body = _IFINFO.pack(0, 0, 0, 0, 0) + netlink.attribute(_TARGET_NSID, namespace)
    links = [netlink.inner(link[_IFINFO.size :], _LINK) for link in netlink.dump(netlink.ROUTE, _GETLINK, body)]
    return [_NUMBER.unpack(index)[0] for index in links if len(index) == _NUMBER.size]


def _is_bridge_port(index: int, namespace: bytes) -> bool:
    """Say whether our interface of this index has a master and its other end in the namespace."""
    try:
        answer = netlink.ask(netlink.ROUTE, _GETLINK, _IFINFO.pack(0, 0, index, 0, 0))[_IFINFO.size :]
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        return False
    return bool(netlink.inner(answer, _MASTER)) and netlink.inner(answer, _LINK_NSID) == namespace
