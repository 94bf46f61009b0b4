"""The `oci` driver: the real runtime is another OCI command line, called with the caller's own arguments."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal itself would import enum
import os
import time

from yarn_kata_runtime.errors import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_POLL_SECONDS = 0.002
_SIGKILL = 9  # the module signal would import enum
_IGNORED_BY_PYTHON = (_signal.SIGPIPE, _signal.SIGXFSZ)


def become(delegate: list[str], arguments: list[str]) -> NoReturn:
    """Replace this process by the runtime below."""
    for number in _IGNORED_BY_PYTHON:
        _signal.signal(number, _signal.SIG_DFL)  # what is ignored stays so through exec
    try:
        os.execve(delegate[0], [*delegate, *arguments], _environment())
    except OSError as error:
        raise _missing(delegate[0], error) from None


def run(delegate: list[str], arguments: list[str]) -> int:
    """Run the runtime below on our own streams and return its exit code, 128 + n after signal n."""
    try:
        pid = os.posix_spawn(delegate[0], [*delegate, *arguments], _environment(), setsigdef=_IGNORED_BY_PYTHON)
    except OSError as error:
        raise _missing(delegate[0], error) from None
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def output(delegate: list[str], arguments: list[str], seconds: float) -> bytes | None:
    """Return what the runtime below prints, None if it fails or takes longer than `seconds`."""
    readable, writable = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, writable, 1), (os.POSIX_SPAWN_DUP2, null, 2)]
    try:
        pid = os.posix_spawn(delegate[0], [*delegate, *arguments], _environment(), file_actions=actions)
    except OSError as error:
        os.close(readable)
        raise _missing(delegate[0], error) from None
    finally:
        os.close(writable)
        os.close(null)
    os.set_blocking(readable, False)
    try:
        return _collected(pid, readable, time.monotonic() + seconds)
    finally:
        os.close(readable)


def _collected(pid: int, readable: int, deadline: float) -> bytes | None:
    text = b""
    ended, status = 0, 0
    while not ended and time.monotonic() < deadline:
        text += _available(readable)
        ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended:
            time.sleep(_POLL_SECONDS)
    if not ended:
        os.kill(pid, _SIGKILL)
        os.waitpid(pid, 0)
        return None
    return text + _available(readable) if status == 0 else None


def _available(readable: int) -> bytes:
    text = b""
    try:
        while chunk := os.read(readable, 65536):
            text += chunk
    except BlockingIOError:
        pass
    return text


def _environment() -> dict[bytes, bytes]:
    """Return the environment as our caller passed it; Python adds LC_CTYPE to its own (PEP 538)."""
    with open("/proc/self/environ", "rb") as own:
        pairs = (entry.partition(b"=") for entry in own.read().split(b"\0") if entry)
        return {name: value for name, _, value in pairs}


def _missing(path: str, error: OSError) -> Refused:
    return Refused(f"the runtime {path} cannot be executed ({error.strerror}); install it or change config.toml")
