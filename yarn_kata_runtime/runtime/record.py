"""The record of a container: a folder below /run whose file `delegate` names the runtime it was made with.

The launcher (native/launcher.c) reads it too, so that verbs which decide nothing need no interpreter.
Fields end in NUL: kind, pid of the launcher that created it, grace of kill in ms, the caller's --root, the
delegate's arguments.
"""

from __future__ import annotations

import errno
import os

from yarn_kata_runtime import paths
from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.node import files

_LAUNCHER = os.path.realpath(__file__.rsplit("/", 2)[0] + "/native/launcher")
_LIMIT = 64 * 1024
YARN = "yarn"
FOREIGN = "foreign"
ROW = "row"  # the container's row of the store, should the store be lost
UNFINISHED = ".unfinished-"  # and the pid of who makes it


class Record:
    """The content of a `delegate` file."""

    __slots__ = ("argv", "creator", "grace_ms", "kind", "root")

    def __init__(self, kind: str, creator: int, grace_ms: int, root: str, argv: list[str]) -> None:
        self.kind = kind
        self.creator = creator
        self.grace_ms = grace_ms
        self.root = root
        self.argv = argv


def key_of(oci_id: str, root: str) -> str:
    """Return the record's name: two engines may use one id under different --root."""
    digest = 0xCBF29CE484222325  # FNV-1a, 64 bits: short to compute here and in C
    for byte in os.fsencode(root):
        digest = (digest ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{oci_id}@{digest:016x}"


def folder(key: str) -> str:
    """Return the record's folder."""
    return f"{paths.containers()}/{key}"


def create(key: str, record: Record) -> None:
    """Make the record, complete at once; raise FileExistsError if the container has one."""
    os.makedirs(paths.containers(), 0o700, exist_ok=True)
    unfinished = f"{paths.containers()}/{UNFINISHED}{os.getpid()}"
    os.mkdir(unfinished, 0o700)
    try:
        files.write_file(f"{unfinished}/delegate", encoded(record), 0o600)
        os.rename(unfinished, folder(key))  # fails on a folder that is not empty, and a record never is
    except OSError as error:
        files.remove_tree(unfinished)
        if error.errno == errno.ENOTEMPTY:
            raise FileExistsError(errno.EEXIST, "the container has a record", folder(key)) from None
        raise


def read(key: str) -> Record | None:
    """Return the record, None if there is none; Refused if it is damaged."""
    try:
        return _decoded(files.read_file(f"{folder(key)}/delegate", _LIMIT))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise Refused(f"the record {folder(key)} is damaged ({error}); run yarn-kata-runtime reconcile") from None


def remove(key: str) -> None:
    """Remove the record and what lies beside it; none is fine."""
    files.remove_tree(folder(key))


def encoded(record: Record) -> bytes:
    """Return the record as the bytes of its file."""
    fields = [record.kind, str(record.creator), str(record.grace_ms), record.root, *record.argv]
    return b"".join(os.fsencode(field) + b"\0" for field in fields)


def _decoded(content: bytes) -> Record:
    kind, creator, grace, root, *argv = (os.fsdecode(field) for field in content.split(b"\0")[:-1])
    if kind not in (YARN, FOREIGN) or not argv:
        raise ValueError(f"kind {kind!r} with {len(argv)} arguments")
    return Record(kind, int(creator), int(grace), root, argv)


def is_launcher(pid: int) -> bool:
    """Say whether a process of that pid is a launcher, still at work on its create."""
    try:
        return os.readlink(f"/proc/{pid}/exe") == _LAUNCHER
    except OSError:
        return False
