"""Calls into the C library."""

from __future__ import annotations

import os

import pytest

from yarn_kata_runtime.node.syscalls import c_path, call

SYS_OPENAT2 = 437
AT_FDCWD = -100


def test_an_answer() -> None:
    assert call("getpid") == os.getpid()


def test_an_error_has_its_errno() -> None:
    with pytest.raises(FileNotFoundError, match="No such file or directory"):
        call("chdir", b"/missing")


def test_a_function_that_answers_an_int_can_fail() -> None:
    """-1 is 0x00000000ffffffff there, where a long has all of its bits set."""
    with pytest.raises(OSError, match="Bad file descriptor"):
        call("close", -1)


def test_a_system_call_with_a_structure() -> None:
    how = (os.O_PATH | os.O_CLOEXEC).to_bytes(8, "little") + bytes(16)
    descriptor = call("syscall", SYS_OPENAT2, AT_FDCWD, b"/", how, len(how))
    try:
        assert os.path.samestat(os.fstat(descriptor), os.stat("/"))
    finally:
        os.close(descriptor)


def test_a_null_pointer() -> None:
    with pytest.raises(OSError, match="Bad address"):
        call("chdir", None)


def test_a_function_that_is_not_there() -> None:
    with pytest.raises(OSError, match="no_such_function"):
        call("no_such_function")


def test_a_path_keeps_its_bytes() -> None:
    assert c_path("/a/\udcff") == b"/a/\xff"
    with pytest.raises(ValueError, match="null byte"):
        c_path("/etc/passwd\0.txt")
