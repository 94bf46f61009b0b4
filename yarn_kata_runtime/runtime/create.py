"""`create`, `run` and `restore`: whose container is it; then the runtime below takes over.

A container that is not YARN's passes here, and pays for nothing that only YARN's need.
"""

from __future__ import annotations

import os

from yarn_kata_runtime import paths
from yarn_kata_runtime.container import identity as identities
from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.runtime import bundle as bundles
from yarn_kata_runtime.runtime import docker, record
from yarn_kata_runtime.runtime.drivers import oci
from yarn_kata_runtime.runtime.policy import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from yarn_kata_runtime.compiled import RuntimeClass
    from yarn_kata_runtime.runtime.call import Call

_STATE_SECONDS = 10.0


def create(call: Call) -> NoReturn:
    """Rewrite the bundle as policy says and become the runtime below.

    Raises Refused, with nothing left behind, where the container must not run.
    """
    oci_id = call.container_id()
    bundle = os.path.realpath(call.option("bundle", "b") or ".")
    key = record.key_of(oci_id, call.global_option("root"))
    rules = load()
    spec = bundles.read(bundle)
    state = docker.state_of(spec, oci_id)
    origin = identities.Origin(oci_id, bundle, state.name)
    identity = identities.identify(spec, origin, rules["node"], _uid_of)
    if identity is None:
        runtime_class = rules["foreign"]
        _make_record(call, key, record.FOREIGN, runtime_class)
    elif call.verb == "restore":
        raise Refused(f"{identity.container} is YARN's and cannot be restored; let YARN start it anew")
    else:
        from yarn_kata_runtime.runtime import grant

        decision, network = grant.decide(spec, identity, rules, state)
        runtime_class = decision.runtime_class
        _make_record(call, key, record.YARN, runtime_class)
        grant.give(call, key, bundle, spec, identity, decision, network, rules, state)
    try:
        oci.become(runtime_class["argv"], call.argv)
    except Refused:  # there is no runtime that a later delete could ask
        from yarn_kata_runtime.runtime.release import release

        release(key)
        raise


def _make_record(call: Call, key: str, kind: str, runtime_class: RuntimeClass) -> None:
    """Note what the container runs in; a record of a container that is no more is taken over.

    Raises Refused if the id is in use.
    """
    root = call.global_option("root")
    made = record.Record(kind, os.getppid(), runtime_class["kill_grace_ms"], root, runtime_class["argv"])
    if not _recorded(key, made):
        _clear_leftover(call, key)
        if not _recorded(key, made):
            raise _in_use(call)


def _recorded(key: str, made: record.Record) -> bool:
    """Write the record; return False if the container has one."""
    try:
        record.create(key, made)
    except FileExistsError:
        return False
    except OSError as error:
        raise Refused(f"the container cannot be noted: {error}; free the disk of {paths.RUN}") from None
    return True


def _clear_leftover(call: Call, key: str) -> None:
    old = record.read(key)
    oci_id = call.container_id()
    if old and (record.is_launcher(old.creator) or oci.output(old.argv, call.asking("state", oci_id), _STATE_SECONDS)):
        raise _in_use(call)
    from yarn_kata_runtime.runtime.release import release

    release(key)


def _in_use(call: Call) -> Refused:
    return Refused(f"container {call.container_id()} exists already; delete it first or use another id")


def _uid_of(user: str) -> int | None:
    import pwd

    try:
        return pwd.getpwnam(user).pw_uid
    except (KeyError, ValueError):
        return None
