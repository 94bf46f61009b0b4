"""The C library's functions that Python's `os` does not offer.

`_ctypes` is what `ctypes` itself is built on; it loads in a quarter of the time (0.6 ms instead of
2.6), and every container verb would pay for the difference.
"""

from __future__ import annotations

import os
from _ctypes import FUNCFLAG_CDECL, FUNCFLAG_USE_ERRNO, CFuncPtr, _SimpleCData, dlopen, dlsym, get_errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    _Integer = _SimpleCData[int]
else:
    _Integer = _SimpleCData


class _Int(_Integer):
    _type_ = "i"


class _Long(_Integer):
    _type_ = "l"


class _Function(CFuncPtr):
    _flags_ = FUNCFLAG_CDECL | FUNCFLAG_USE_ERRNO
    _restype_ = _Int


_PROGRAM = dlopen(None, os.RTLD_NOW)  # type: ignore[arg-type]  # None is dlopen(3)'s NULL


def call(function: str, *arguments: int | bytes | None) -> int:
    """What libc's `function` answers, an int; OSError with its errno where that is -1.

    Integers are passed as longs, bytes as a pointer to them, None as a null pointer.  A system call
    that libc has no function for is `call("syscall", number, ...)`.
    """
    answer: int = _Function(dlsym(_PROGRAM, function))(
        *[_Long(argument) if isinstance(argument, int) else argument for argument in arguments]
    )
    if answer == -1:
        error = get_errno()
        raise OSError(error, os.strerror(error))
    return answer


def c_path(path: str) -> bytes:
    """`path` for `call`; ValueError where a C function would see only a part of it."""
    if "\0" in path:
        raise ValueError(f"{path!r} has a null byte in it; name a real file")
    return os.fsencode(path)
