"""The process that runs what is measured: a question on standard input, an answer on standard output, a line each.

Whatever a command leaves behind becomes this process's child (PR_SET_CHILD_SUBREAPER), so that a container's
first process is counted too: by the question {}, which waits for all of them.  Source of the figures: wait4(2).
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from resource import struct_rusage
from typing import Any

_PR_SET_CHILD_SUBREAPER = 36
_REAP_SECONDS = 20.0


class Failed(RuntimeError):
    """A command that ended with another code than 0; the text has its standard error."""


def serve() -> None:
    """Answer questions until standard input ends."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    errors = os.memfd_create("stderr", 0)
    for line in sys.stdin:
        question = json.loads(line)
        answer: dict[str, object]
        try:
            answer = {"cost": _run(question, errors) if question else _reap()}
        except (OSError, Failed, TimeoutError) as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


def _run(question: dict[str, Any], errors: int) -> tuple[float, float]:
    argv = question["argv"]
    os.chdir(question["cwd"])
    os.ftruncate(errors, 0)
    os.lseek(errors, 0, os.SEEK_SET)
    null = os.open(os.devnull, os.O_RDWR)
    streams = [(os.POSIX_SPAWN_DUP2, file, number) for number, file in enumerate((null, null, errors))]
    began = time.monotonic()
    child = os.posix_spawnp(argv[0], argv, {**os.environ, **question["env"]}, file_actions=streams)
    _, status, usage = os.wait4(child, 0)
    wall = time.monotonic() - began
    os.close(null)
    if status:
        text = os.pread(errors, 4096, 0).decode(errors="replace").strip()
        raise Failed(f"{' '.join(argv)} ended with {os.waitstatus_to_exitcode(status)}: {text}")
    return (_cpu(usage), wall * 1000)


def _reap() -> tuple[float, float]:
    cpu, began = 0.0, time.monotonic()
    while time.monotonic() < began + _REAP_SECONDS:
        try:
            child, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return (cpu, (time.monotonic() - began) * 1000)
        if child:
            cpu += _cpu(usage)
        else:
            time.sleep(0.001)
    raise TimeoutError(f"a process of a container did not end within {_REAP_SECONDS:.0f} s")


def _cpu(usage: struct_rusage) -> float:
    return (usage.ru_utime + usage.ru_stime) * 1000


if __name__ == "__main__":
    serve()
