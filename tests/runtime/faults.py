"""Faults of the node, made and mended."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.harness import PYTHON, RUN, Bundle, PrivateNode

_HOLD_STORE = """
import sqlite3, time
with sqlite3.connect("/run/yarn-kata/state.db", isolation_level=None) as db:
    db.execute("BEGIN EXCLUSIVE")
    print("held", flush=True)
    time.sleep(1000)
"""


@contextlib.contextmanager
def locked_store(node: PrivateNode) -> Iterator[None]:
    """Hold the node's state in a transaction that does not end."""
    holder = node.begin([PYTHON, "-c", _HOLD_STORE])
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    try:
        yield
    finally:
        holder.kill()
        holder.communicate()


def damage_store(node: PrivateNode) -> None:
    """Overwrite the node's state."""
    for companion in ("-wal", "-shm"):
        node.path(f"{RUN}/state.db{companion}").unlink(missing_ok=True)
    store = node.path(f"{RUN}/state.db")
    store.write_bytes(b"garbage\n" * (store.stat().st_size // 8))


@contextlib.contextmanager
def disk(node: PrivateNode, kib: int) -> Iterator[Path]:
    """Give /run/yarn-kata a file system of its own of this size, empty; yield the way to it from outside."""
    node.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k,mode=755", "tmpfs", str(RUN)])
    try:
        yield node.path(RUN)
    finally:
        node.run(["umount", str(RUN)])


@contextlib.contextmanager
def free_bytes(folder: Path, count: int) -> Iterator[None]:
    """Leave so many bytes free on the file system of `folder`."""
    status = os.statvfs(folder)
    filler = folder / "filler"
    filler.touch()
    os.truncate(filler, 0)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_bsize - count)
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def missing(file: Path) -> Iterator[None]:
    """Take a file away for a while."""
    aside = file.rename(file.with_name(f"{file.name}.aside"))
    try:
        yield
    finally:
        aside.rename(file)


def killed_after(node: PrivateNode, bundle: Bundle, words: list[str], seconds: float, *, child: bool = False) -> None:
    """Call a verb and send it SIGKILL after a time, it or the process that it waits for; return when both ended."""
    process = node.begin(node.engine(*words), cwd=str(bundle.path), streams=subprocess.DEVNULL)
    time.sleep(seconds)
    waited_for = _child_of(process)
    if child and waited_for is not None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(waited_for, signal.SIGKILL)
    else:
        process.kill()
    process.wait(60)
    if waited_for is not None:
        select.select([waited_for], [], [], 60)  # the kernel kills it with its parent, but not in no time
        os.close(waited_for)


def _child_of(process: subprocess.Popen[str]) -> int | None:
    """Return a pidfd of the process that a launcher has started, None if there is none."""
    try:
        pids = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return os.pidfd_open(int(pids[0])) if pids else None
    except (FileNotFoundError, ProcessLookupError):
        return None
