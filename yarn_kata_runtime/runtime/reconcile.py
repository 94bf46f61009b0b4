"""The node's state brought back to what lives: whatever a crash left behind is given back.

Each step looks at what is there and needs no memory of what happened, so it may be cut short and run again.
"""

from __future__ import annotations

import os
import time

from yarn_kata_runtime import paths, plainjson
from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.node import addresses, docker_user, files, idmap, routes
from yarn_kata_runtime.node.store import COLUMNS, Damaged, Store
from yarn_kata_runtime.runtime import record
from yarn_kata_runtime.runtime.drivers import oci
from yarn_kata_runtime.runtime.policy import load
from yarn_kata_runtime.runtime.release import listed, pinned_for, release

TYPE_CHECKING = False
if TYPE_CHECKING:
    from yarn_kata_runtime.node.store import Row
    from yarn_kata_runtime.runtime.record import Record

_BELOW_SECONDS = 10.0
_ROW_LIMIT = 64 * 1024


def reconcile() -> list[str]:
    """Bring the node's state in line with what lives; return one sentence for each thing that was done."""
    if not os.path.isdir(paths.RUN):  # nothing has run here since the boot
        return []
    done = _replace_store()
    done += _release_dead()
    done += _restore_rows()
    done += _sweep_unfinished()
    done += _sweep_namespaces()
    return done + _mend_routes()


def _replace_store() -> list[str]:
    """Put a damaged store aside; the next to open it makes a new one."""
    try:
        with Store(paths.store()) as store:
            store.check()
        return []
    except Damaged:
        aside = f"{paths.store()}.damaged-{time.time():.0f}"
        os.rename(paths.store(), aside)
        for companion in ("-wal", "-shm"):
            files.remove_tree(paths.store() + companion)
    return [f"put the damaged state of the node aside as {aside}"]


def _restore_rows() -> list[str]:
    """Note again the living containers that the store has lost."""
    done = []
    with Store(paths.store()) as store:
        for row in filter(None, map(_noted_row, _keys())):
            if store.row(row["key"]) is None:
                store.insert([row[column] for column in COLUMNS])
                done.append(f"noted {row['id']} again")
        store.begin(lambda: False)
    return done


def _noted_row(key: str) -> Row | None:
    try:
        row = plainjson.load_object(files.read_file(f"{record.folder(key)}/{record.ROW}", _ROW_LIMIT))
    except (OSError, ValueError):
        return None
    return row if set(row) == set(COLUMNS) else None


def _keys() -> list[str]:
    return [name for name in listed(paths.containers()) if not name.startswith(record.UNFINISHED)]


def _release_dead() -> list[str]:
    with Store(paths.store()) as store:
        rows = {row["key"]: row for row in store.rows()}
    dead = [key for key in sorted({*_keys(), *rows}) if not _lives(key, rows.get(key) or _noted_row(key))]
    for key in dead:
        _clear_below(key)
        release(key)
    return [f"gave back what {key.partition('@')[0]} held" for key in dead]


def _lives(key: str, row: Row | None) -> bool:
    """Say whether the runtime below still knows the container, or somebody is making it now."""
    try:
        kept = record.read(key)
    except Refused:  # a damaged record names no runtime to ask, but the container's process tells
        return row is not None and _process_lives(row)
    if kept is None:
        return False
    try:
        return record.is_launcher(kept.creator) or _below(key, kept, "state") is not None
    except Refused:  # the runtime below is not installed now: what it runs may go on
        return True


def _process_lives(row: Row) -> bool:
    try:
        return os.path.exists(f"/proc/{int(files.read_file(row['pid_file'], 32))}")
    except (OSError, ValueError):
        return False


def _clear_below(key: str) -> None:
    """Let the runtime below remove what a create of its own that was cut short may have left."""
    kept = _record(key)
    if kept is not None:
        _below(key, kept, "delete", "--force")


def _record(key: str) -> Record | None:
    try:
        return record.read(key)
    except Refused:
        return None


def _below(key: str, kept: Record, *verb: str) -> bytes | None:
    """Return what a verb of the runtime below prints of the container, None if it fails."""
    root = ["--root", kept.root] if kept.root else []
    return oci.output(kept.argv, [*root, *verb, key.partition("@")[0]], _BELOW_SECONDS)


def _sweep_unfinished() -> list[str]:
    done = []
    for name in listed(paths.containers()):
        pid = name.removeprefix(record.UNFINISHED)
        if name != pid and not _is_interpreter(pid):
            files.remove_tree(f"{paths.containers()}/{name}")
            done.append(f"removed the unfinished record of process {pid}")
    return done


def _is_interpreter(pid: str) -> bool:
    """Say whether a process of that pid may be a verb of ours: a zombie or another program is none."""
    try:
        return os.readlink(f"/proc/{pid}/exe") == os.readlink("/proc/self/exe")
    except OSError:
        return False


def _sweep_namespaces() -> list[str]:
    done = []
    with Store(paths.store()) as store, store.transaction():  # nobody claims a slot meanwhile
        held = {row["slot"] for row in store.rows()}
        for name in listed(paths.namespaces()):
            if pinned_for(name) not in held:
                idmap.unmount(f"{paths.namespaces()}/{name}")
                files.remove_tree(f"{paths.namespaces()}/{name}")
                done.append(f"let go of the user namespace {name}")
    return done


def _mend_routes() -> list[str]:
    """Open what should be open, close what should not be, and leave no table where there is nothing."""
    with Store(paths.store()) as store:
        for row in store.rows():
            if row["first_port"] is not None and row["address"] is None:
                _note_address(store, row)
        with store.transaction():  # no container comes or goes meanwhile
            wanted = store.routes()
            if not wanted and routes.table_present():
                routes.remove_table()
                return ["removed the nftables table, for nothing is routed"]
            return _mended(routes.routes(), wanted)


def _mended(present: dict[int, str], wanted: dict[int, str]) -> list[str]:
    done = []
    if wanted and docker_user.insert():
        done.append("put back the rule by which Docker's firewall passes the routes")
    for first_port in present.keys() - wanted.keys():
        routes.close_route(first_port, present[first_port])
        done.append(f"closed the route of port {first_port}")
    for first_port, address in wanted.items():
        if present.get(first_port) != address:
            routes.open_route(first_port, address, load()["ports"], lambda: wanted)
            done.append(f"opened the route of port {first_port} to {address}")
    return done


def _note_address(store: Store, row: Row) -> None:
    """Find out the address of a container whose start was not seen to its end."""
    try:
        address = addresses.container_address(int(files.read_file(row["pid_file"], 32)))
    except (OSError, ValueError):
        return
    if address:
        store.set_address(row["key"], address)
