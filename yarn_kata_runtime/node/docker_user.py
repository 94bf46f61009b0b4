"""The one rule on Docker's side: what a route carries passes Docker's FORWARD policy.

Accepting a packet in a chain of one's own does not undo a DROP in another, and Docker sets FORWARD to
DROP.  Docker calls its chain DOCKER-USER before its own rules, keeps what is in it, and creates it only
if it is missing: so it is made here, as Docker makes it, where Docker has not been started yet or
another program dropped it.  Where Docker uses nftables, its option
`--bridge-accept-fwmark=0x10000000/0x10000000` takes the rule's place.
"""

from __future__ import annotations

import os

from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.node import programs

ACCEPTED = 0x10000000  # the bit of a packet's mark

_IPTABLES = "/usr/sbin/iptables"
_WAIT = ["-w", "5"]  # for the lock of xtables, seconds
_CHAIN = "DOCKER-USER"
_RULE = ["-m", "mark", "--mark", f"{ACCEPTED:#x}/{ACCEPTED:#x}", "-j", "ACCEPT"]


def insert() -> bool:
    """See to it that the rule is there, and say whether it was missing.

    Without iptables there is no policy of its to satisfy.
    """
    if not os.path.exists(_IPTABLES):
        return False
    if not _holds("-S", _CHAIN):
        _holds("-N", _CHAIN)  # Docker may have come first
    called, there = _holds("-C", "FORWARD", "-j", _CHAIN), _holds("-C", _CHAIN, *_RULE)
    if not called:
        _must("-I", "FORWARD", "-j", _CHAIN)
    if not there:
        _must("-I", _CHAIN, *_RULE)
    return not (called and there)


def remove() -> None:
    """Remove the rule, and the chain too where it is not Docker's; what is not there is no error."""
    if not os.path.exists(_IPTABLES):
        return
    while _holds("-D", _CHAIN, *_RULE):
        pass
    chains = _output("-S").splitlines()
    used = any(line.startswith(f"-A {_CHAIN} ") for line in chains)
    if used or "-N DOCKER" in chains or f"-N {_CHAIN}" not in chains:
        return
    _holds("-D", "FORWARD", "-j", _CHAIN)
    _holds("-X", _CHAIN)


def _output(*arguments: str) -> str:
    return programs.run([_IPTABLES, *_WAIT, *arguments])[1]


def _holds(*arguments: str) -> bool:
    return programs.run([_IPTABLES, *_WAIT, *arguments])[0] == 0


def _must(*arguments: str) -> None:
    argv = [_IPTABLES, *_WAIT, *arguments]
    status, output = programs.run(argv)
    if status:
        raise Refused(f"Docker's firewall cannot be told to pass the routes: {' '.join(argv)} says {output!r}")
