"""A container's passwd and group files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yarn_kata_runtime.node.accounts import group_with, passwd_with

PASSWD = b"""root:x:0:0:root:/root:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
alice:x:1001:1001:Alice,,,:/home/alice:/bin/bash
"""
GROUP = b"""root:x:0:
hadoop:x:2000:alice,bob
alice:x:1001:
"""

names = st.text(st.characters(codec="utf-8", exclude_characters=":\n\0"), min_size=1)
ids = st.integers(0, 2**32 - 2)
lines = st.one_of(
    st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")),
    st.builds(lambda name, uid: f"{name}:x:{uid}:{uid}:::".encode(), names, ids),
    st.builds(lambda name, gid: f"{name}:x:{gid}:".encode(), names, ids),
)
texts = st.lists(lines).map(b"\n".join)


def entries(text: bytes, size: int) -> list[list[bytes]]:
    """What a reader of the file takes for entries."""
    fields = [line.split(b":") for line in text.split(b"\n")]
    return [entry for entry in fields if len(entry) == size and entry[2].isdigit()]


def test_the_user_gets_the_numbers_of_the_slot() -> None:
    assert passwd_with(PASSWD, "alice", 7001, 7001, "/data/alice") == (
        b"alice:x:7001:7001::/data/alice:/bin/sh\n"
        b"root:x:0:0:root:/root:/bin/bash\n"
        b"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    )


def test_another_account_with_the_uid_of_the_slot_goes() -> None:
    text = b"postgres:x:7001:70::/:/bin/sh\nzero:x:0007001:70::/:/bin/sh\n"
    assert passwd_with(text, "alice", 7001, 7002, "/") == b"alice:x:7001:7002::/:/bin/sh\n"


def test_malformed_lines_stay_behind_our_entry() -> None:
    text = b"# alice:x:1:1\n\nalice\nalice:x:seven:1:::\n+\n" + b"a:x:" + b"9" * 5000 + b":1:::\n"
    assert passwd_with(text, "alice", 7001, 7001, "/") == b"alice:x:7001:7001::/:/bin/sh\n" + text


def test_a_file_without_a_last_newline_or_without_anything() -> None:
    assert passwd_with(b"", "alice", 1, 2, "/") == b"alice:x:1:2::/:/bin/sh\n"
    assert passwd_with(b"root:x:0:0::/:/bin/sh", "a", 1, 2, "/") == (
        b"a:x:1:2::/:/bin/sh\nroot:x:0:0::/:/bin/sh"
    )


def test_the_group_gets_the_number_of_the_slot() -> None:
    assert group_with(GROUP, "alice", 7001) == b"alice:x:7001:\nroot:x:0:\nhadoop:x:2000:alice,bob\n"


@pytest.mark.parametrize("name", ["", "a:b", "a\nroot:x:0:0:::", "a\0"])
def test_a_name_that_would_break_the_file_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="give it a name|cannot stand in"):
        group_with(GROUP, name, 7001)
    with pytest.raises(ValueError, match="give it a name|cannot stand in"):
        passwd_with(PASSWD, name, 7001, 7001, "/")


def test_a_home_that_would_break_the_file_is_refused() -> None:
    with pytest.raises(ValueError, match="'/a:/b'"):
        passwd_with(PASSWD, "alice", 7001, 7001, "/a:/b")


@given(texts, names, ids, ids)
def test_passwd_has_one_entry_of_the_name_and_one_of_the_uid(text: bytes, name: str, uid: int, gid: int) -> None:
    result = passwd_with(text, name, uid, gid, "/home")
    ours = [name.encode(), b"x", str(uid).encode(), str(gid).encode(), b"", b"/home", b"/bin/sh"]
    found = entries(result, 7)
    assert found[0] == ours
    assert not [entry for entry in found[1:] if entry[0] == name.encode() or int(entry[2]) == uid]


@given(texts, names, ids, ids)
def test_passwd_keeps_every_other_line_in_its_order(text: bytes, name: str, uid: int, gid: int) -> None:
    gone = [b":".join(entry) for entry in entries(text, 7) if entry[0] == name.encode() or int(entry[2]) == uid]
    kept = [line for line in text.split(b"\n") if line not in gone]
    assert passwd_with(text, name, uid, gid, "/home").split(b"\n")[1:] == (kept or [b""])


@given(texts, names, ids)
def test_writing_twice_changes_nothing(text: bytes, name: str, number: int) -> None:
    passwd = passwd_with(text, name, number, number, "/")
    assert passwd_with(passwd, name, number, number, "/") == passwd
    group = group_with(text, name, number)
    assert group_with(group, name, number) == group


@given(texts, names, ids)
def test_group_has_one_entry_of_the_name_and_one_of_the_gid(text: bytes, name: str, gid: int) -> None:
    found = entries(group_with(text, name, gid), 4)
    assert found[0] == [name.encode(), b"x", str(gid).encode(), b""]
    assert not [entry for entry in found[1:] if entry[0] == name.encode() or int(entry[2]) == gid]
