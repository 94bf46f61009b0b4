"""A container's /etc/passwd and /etc/group, in which the YARN user has the slot's numbers.

Our entry comes first: every reader takes the first that matches, so not even a line that this module
takes for malformed, and another program for an entry, can stand before it.
"""

from __future__ import annotations

_PASSWD_FIELDS = 7
_GROUP_FIELDS = 4


def passwd_with(text: bytes, name: str, uid: int, gid: int, home: str) -> bytes:
    """passwd(5) `text` with one entry for `name`, and no other with its name or uid; the rest is as it was.

    ValueError for a name or home that would not fit into one field of one line.
    """
    entry = _entry(name, "x", str(uid), str(gid), "", home, "/bin/sh")
    return entry + _without(text, name, uid, _PASSWD_FIELDS)


def group_with(text: bytes, name: str, gid: int) -> bytes:
    """group(5) `text` with one entry for `name`, without members, and no other with its name or gid.

    ValueError for a name that would not fit into one field of one line.
    """
    return _entry(name, "x", str(gid), "") + _without(text, name, gid, _GROUP_FIELDS)


def _entry(name: str, *fields: str) -> bytes:
    if not name:
        raise ValueError("an account's name is empty; give it a name")
    for field in (name, *fields):
        if any(character in field for character in ":\n\0"):
            raise ValueError(f"{field!r} cannot stand in /etc/passwd; take ':', newlines and null bytes out of it")
    return ":".join((name, *fields)).encode("utf-8", "surrogateescape") + b"\n"


def _without(text: bytes, name: str, number: int, size: int) -> bytes:
    taken = name.encode("utf-8", "surrogateescape")
    lines = text.split(b"\n")
    return b"\n".join(line for line in lines if not _is_entry_of(line.split(b":"), taken, number, size))


def _is_entry_of(fields: list[bytes], name: bytes, number: int, size: int) -> bool:
    """Whether a line, cut into its fields, is an entry with this name or number."""
    if len(fields) != size or not fields[2].isdigit():
        return False
    # as text: the image may bring a number of any length
    return fields[0] == name or (fields[2].lstrip(b"0") or b"0") == str(number).encode()
