"""Everything that a container holds, given back; each part may be gone already."""

from __future__ import annotations

import os

from yarn_kata_runtime import paths
from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.node import idmap
from yarn_kata_runtime.node.store import Store
from yarn_kata_runtime.runtime import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from yarn_kata_runtime.compiled import Slot

FOLDER_PREFIX = "folder-"  # of the mount points in a record


def release(key: str) -> None:
    """Give back the container's route, mounts, slot, port block and record, the record last.

    Safe to call again after it was cut short at any point; raises Refused saying what could not be undone.
    """
    try:
        with Store(paths.store()) as store:
            row = store.row(key)
            if row and row["first_port"] is not None:
                from yarn_kata_runtime.node import routes

                routes.close_route(row["first_port"], row["address"])
            _unmount(key)
            store.release(key, _unpin)
        record.remove(key)
    except OSError as error:
        raise Refused(f"what {key} held cannot be given back: {error}; run yarn-kata-runtime reconcile") from None


def pinned(slot: Slot, uid: int, gid: int, nm_gid: int) -> str:
    """Return where the user namespace is pinned that shows files of (uid, gid) as the slot's.

    The name holds every number of the map: a pinned map is never looked at again.
    """
    return f"{paths.namespaces()}/{slot['account']}-{slot['uid']}-{uid}-{gid}-{nm_gid}"


def pinned_for(name: str) -> str:
    """Return the slot's account in the name of a pinned namespace."""
    return name.rsplit("-", 4)[0]


def _unmount(key: str) -> None:
    for name in listed(record.folder(key)):
        if name.startswith(FOLDER_PREFIX):
            idmap.unmount(f"{record.folder(key)}/{name}")


def _unpin(account: str) -> None:
    """Drop the user namespaces of a slot that nobody holds any more."""
    for name in listed(paths.namespaces()):
        if pinned_for(name) == account:
            idmap.unmount(f"{paths.namespaces()}/{name}")
            os.unlink(f"{paths.namespaces()}/{name}")


def listed(folder: str) -> list[str]:
    """Return the names in a folder, none where there is no folder."""
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
