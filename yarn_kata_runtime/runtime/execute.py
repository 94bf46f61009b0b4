"""`exec`: engines send a process of their own, with the user that YARN named; inside it is the slot's."""

from __future__ import annotations

import os

from yarn_kata_runtime import paths, plainjson
from yarn_kata_runtime.container.rewriting import slot_process
from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.node import files
from yarn_kata_runtime.node.store import Store
from yarn_kata_runtime.runtime import record
from yarn_kata_runtime.runtime.drivers import oci
from yarn_kata_runtime.runtime.policy import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from yarn_kata_runtime.compiled import RuntimeClass, Slot
    from yarn_kata_runtime.container.spec import Spec
    from yarn_kata_runtime.runtime.call import Call

_LIMIT = 4 * 1024 * 1024
_OWN = ("user", "u", "cap", "c", "additional-gids", "g")  # what the caller says of these does not count


def execute(call: Call) -> NoReturn:
    """Make the process the slot's, with the class's limits, and become the runtime below."""
    key = record.key_of(call.container_id(), call.global_option("root"))
    kept = record.read(key)
    if kept is None:
        oci.become(load()["foreign"]["argv"], call.argv)
    argv = call.argv
    if kept.kind == record.YARN:
        argv = _as_slot(call, key)
    oci.become(kept.argv, argv)


def _as_slot(call: Call, key: str) -> list[str]:
    with Store(paths.store()) as store:
        row = store.row(key)
    if row is None:
        raise Refused(f"{call.container_id()} is not in the node's state; run yarn-kata-runtime reconcile")
    user: Slot = {"account": row["slot"] or row["user"], "uid": row["uid"], "gid": row["gid"]}
    path = call.option("process", "p")
    if path is None:
        return _with_user(call, user)
    runtime_class = load()["classes"].get(row["class"])
    if runtime_class is None:
        raise Refused(f"class {row['class']!r} of {row['container']} is gone from config.toml; put it back to exec")
    _rewrite(path, user, runtime_class)
    return call.argv


def _with_user(call: Call, user: Slot) -> list[str]:
    """Return the arguments with the slot as the user, whatever else they named."""
    left_out = {index for name, start, end in call.spans if name in _OWN for index in range(start, end)}
    verb_end = call.at + 1
    options = [call.argv[index] for index in range(verb_end, len(call.argv)) if index not in left_out]
    return [*call.argv[:verb_end], "--user", f"{user['uid']}:{user['gid']}", *options]


def _rewrite(path: str, user: Slot, runtime_class: RuntimeClass) -> None:
    try:
        process: Spec = plainjson.load_object(files.read_file(path, _LIMIT))
        slot_process(process, user)
        process["capabilities"] = {}
        if runtime_class["no_new_privileges"]:
            process["noNewPrivileges"] = True
        files.write_file(path, plainjson.dumps(process), os.stat(path).st_mode & 0o777)
    except (OSError, ValueError) as error:
        raise Refused(f"the process file {path} cannot be used: {error}; the engine makes it") from None
