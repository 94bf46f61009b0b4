"""Errors on the way that OCI callers expect: a line in the file of --log, and on standard error.

YARN shows what stands in that file in the application's diagnostics, word for word; standard error is
lost there.
"""

from __future__ import annotations

import os
import sys
import time

from yarn_kata_runtime import plainjson

TYPE_CHECKING = False
if TYPE_CHECKING:
    from yarn_kata_runtime.runtime.call import Call


def failure(call: Call, message: str) -> None:
    """Write the message where the caller looks for it."""
    text = " ".join(message.split())
    log = call.global_option("log")
    if log:
        _append(log, _line("error", text, call.global_option("log-format")))
    print(f"yarn-kata-runtime: {text}", file=sys.stderr)


def _line(level: str, text: str, form: str) -> bytes:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if form == "json":
        return plainjson.dumps({"level": level, "msg": text, "time": now}) + b"\n"
    quoted = plainjson.dumps(text).decode()
    return f'time="{now}" level={level} msg={quoted}\n'.encode()


def _append(path: str, line: bytes) -> None:
    try:
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOCTTY | os.O_NONBLOCK, 0o644)
        with open(log, "wb", buffering=0) as file:
            file.write(line)
    except OSError as error:
        print(f"yarn-kata-runtime: cannot write the log {path}: {error.strerror}", file=sys.stderr)
