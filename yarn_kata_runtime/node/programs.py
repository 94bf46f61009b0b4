"""Other programs, run to their end within a bounded time."""

from __future__ import annotations

import errno
import os
import select

_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
_SECONDS = 10.0
_SIGKILL = 9  # `signal` would import enum


def run(argv: list[str], text: str = "") -> tuple[int, str]:
    """Run the program of absolute path argv[0] with `text` as its input.

    Returns its exit status, negative for a signal, and what it wrote to both its outputs.
    Raises FileNotFoundError where there is no such program, TimeoutError after 10 s (it is killed then).
    """
    stdin, output = os.memfd_create("stdin"), os.memfd_create("output")
    try:
        os.pwrite(stdin, text.encode(), 0)
        streams = [(os.POSIX_SPAWN_DUP2, file, number) for number, file in enumerate((stdin, output, output))]
        pid = os.posix_spawn(argv[0], argv, _ENVIRONMENT, file_actions=streams)
        status = _wait(pid, argv)
        return status, os.pread(output, 65536, 0).decode(errors="replace").strip()
    finally:
        os.close(stdin)
        os.close(output)


def _wait(pid: int, argv: list[str]) -> int:
    """Return how the child ended."""
    ended = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        in_time = bool(poll.poll(_SECONDS * 1000))
        if not in_time:
            os.kill(pid, _SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(ended)
    if not in_time:
        raise TimeoutError(errno.ETIMEDOUT, f"{' '.join(argv)} did not end within {_SECONDS:.0f} s")
    return status
