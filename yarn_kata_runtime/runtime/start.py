"""`start`: the engine has attached the network by now, so the container's routes can be opened."""

from __future__ import annotations

from yarn_kata_runtime import paths, plainjson
from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.node import files
from yarn_kata_runtime.node.store import Store
from yarn_kata_runtime.runtime import record
from yarn_kata_runtime.runtime.drivers import oci
from yarn_kata_runtime.runtime.policy import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from yarn_kata_runtime.node.store import Row
    from yarn_kata_runtime.runtime.call import Call
    from yarn_kata_runtime.runtime.record import Record

_STATE_SECONDS = 10.0


def start(call: Call) -> NoReturn:
    """Open the container's routes and become the runtime below."""
    key = record.key_of(call.container_id(), call.global_option("root"))
    kept = record.read(key)
    if kept is None:
        oci.become(load()["foreign"]["argv"], call.argv)
    if kept.kind == record.YARN:
        _open_routes(call, key, kept)
    oci.become(kept.argv, call.argv)


def _open_routes(call: Call, key: str, kept: Record) -> None:
    from yarn_kata_runtime.node import addresses, hairpin, routes

    with Store(paths.store()) as store:
        row = store.row(key)
        if row is None:
            raise Refused(f"{call.container_id()} is not in the node's state; run yarn-kata-runtime reconcile")
        if row["first_port"] is None:
            return
        pid = _pid(call, row, kept)
        try:
            address = addresses.container_address(pid)
            if address is None:  # no network: nobody could reach it, nothing to route
                return
            store.set_address(key, address)
            routes.open_route(row["first_port"], address, load()["ports"], store.routes)
            hairpin.allow(pid)
        except OSError as error:
            raise Refused(f"the network of {row['container']} cannot be looked at: {error}; did it end?") from None


def _pid(call: Call, row: Row, kept: Record) -> int:
    """Return the host pid of the container's first process."""
    try:
        if row["pid_file"]:
            return int(files.read_file(row["pid_file"], 32))
        state = oci.output(kept.argv, call.asking("state", row["id"]), _STATE_SECONDS)
        return int(plainjson.load_object(state or b"")["pid"])
    except (OSError, ValueError, KeyError) as error:
        raise Refused(f"the pid of {row['container']} cannot be read: {error}; was it created?") from None
