"""`create`, `run` and `restore`: who is it, what may it be, what does it get; then the runtime below takes over."""

from __future__ import annotations

import os
import time

from yarn_kata_runtime import paths, plainjson
from yarn_kata_runtime.container import identity as identities
from yarn_kata_runtime.container import launch_script, policy, rewriting
from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.node import files
from yarn_kata_runtime.node.store import Claim, Store
from yarn_kata_runtime.runtime import bundle as bundles
from yarn_kata_runtime.runtime import docker, record
from yarn_kata_runtime.runtime.drivers import oci
from yarn_kata_runtime.runtime.policy import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from yarn_kata_runtime.compiled import Network, Policy, RuntimeClass
    from yarn_kata_runtime.container.identity import Identity
    from yarn_kata_runtime.container.policy import Decision
    from yarn_kata_runtime.container.rewriting import Plan
    from yarn_kata_runtime.container.spec import Spec
    from yarn_kata_runtime.node.store import Held, Row
    from yarn_kata_runtime.runtime.call import Call
    from yarn_kata_runtime.runtime.docker import DockerState

_INIT = os.path.dirname(os.path.dirname(__file__)) + "/native/init"
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
        decision = policy.decide(rules, identity.user)
        runtime_class = decision.runtime_class
        network = _checked(spec, identity, runtime_class, rules, state)
        _make_record(call, key, record.YARN, runtime_class)
        _prepare(call, key, bundle, spec, identity, decision, network, rules, state)
    try:
        oci.become(runtime_class["argv"], call.argv)
    except Refused:  # there is no runtime that a later delete could ask
        from yarn_kata_runtime.runtime.release import release

        release(key)
        raise


def _checked(spec: Spec, identity: Identity, runtime_class: RuntimeClass, rules: Policy, state: DockerState) -> Network:
    volumes = [m["source"] for m in spec.get("mounts", []) if state.made_volume(m.get("source", ""))]
    own = [*state.own_folders(), *volumes]
    return policy.check(spec, identity, runtime_class, rules["node"], own, _is_own_network)


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


def _prepare(
    call: Call,
    key: str,
    bundle: str,
    spec: Spec,
    identity: Identity,
    decision: Decision,
    network: Network,
    rules: Policy,
    state: DockerState,
) -> None:
    """Take what the container needs and write its spec; on any failure everything is given back."""
    try:
        held, row = _claim(call, key, bundle, identity, decision, network, rules)
    except BaseException:
        record.remove(key)  # there is nothing else, and the store may be what fails
        raise
    try:
        files.write_file(f"{record.folder(key)}/{record.ROW}", plainjson.dumps(row), 0o600)
        plan = _plan(key, bundle, spec, identity, decision.runtime_class, held, rules)
        if rules["node"]["share_hosts"] and state.folder:
            from yarn_kata_runtime.runtime.prepare import share_hosts

            share_hosts(state.folder)
        rewriting.rewrite(spec, plan)
        bundles.write(bundle, spec)
    except BaseException as error:
        from yarn_kata_runtime.runtime.release import release

        release(key)
        if isinstance(error, (OSError, ValueError)):
            raise Refused(f"{identity.container} cannot be prepared: {error}") from None
        raise


def _claim(
    call: Call, key: str, bundle: str, identity: Identity, decision: Decision, network: Network, rules: Policy
) -> tuple[Held, Row | None]:
    from yarn_kata_runtime.node.ports import free_block

    pid_file = call.option("pid-file")
    claim = Claim(
        key,
        call.container_id(),
        bundle,
        os.path.abspath(pid_file) if pid_file else "",
        identity.container,
        identity.application,
        decision.tenant,
        identity.user,
        decision.runtime_class["name"],
        decision.max_containers,
    )
    slots = rules["slots"]["accounts"] if rules["slots"]["mode"] == "on" else None
    # `run` has no moment between create and start in which an engine could attach a network
    routed = rules["ports"]["mode"] == "on" and network == "bridge" and call.verb == "create"
    owner = (identity.uid, identity.gid)
    with Store(paths.store()) as store:
        held = store.claim(claim, slots, owner, rules["ports"] if routed else None, free_block, time.time())
        return held, store.row(key)


def _plan(
    key: str,
    bundle: str,
    spec: Spec,
    identity: Identity,
    runtime_class: RuntimeClass,
    held: Held,
    rules: Policy,
) -> Plan:
    from yarn_kata_runtime.runtime import prepare

    node = rules["node"]
    script = prepare.trusted_script(identity, node)
    host = node["hostname"] or launch_script.nm_host(script) or os.uname().nodename
    folders: dict[str, str] = {}
    inside: dict[str, str] = {}
    owner = (identity.uid, identity.gid)
    if held.slot:
        owner = (held.slot["uid"], held.slot["gid"])
        folders = prepare.idmapped_folders(spec, key, identity, held.slot, node)
        inside = prepare.account_files(spec, key, bundle, identity, held.slot)
    block = None
    if held.first_port is not None:
        block = rewriting.PortBlock(held.first_port, rules["ports"]["block"])
        inside |= prepare.script_file(spec, key, identity, owner, script, host, rules["ports"])
    init = _INIT if block and runtime_class["ports"] == "init" else ""
    return rewriting.Plan(runtime_class, held.slot, block, folders, inside, init, host if block else "")


def _uid_of(user: str) -> int | None:
    import pwd

    try:
        return pwd.getpwnam(user).pw_uid
    except (KeyError, ValueError):
        return None


def _is_own_network(path: str) -> bool:
    try:
        asked, own = os.stat(path), os.stat("/proc/self/ns/net")
    except OSError as error:
        raise Refused(f"the network namespace {path} cannot be looked at: {error.strerror}") from None
    return (asked.st_dev, asked.st_ino) == (own.st_dev, own.st_ino)
