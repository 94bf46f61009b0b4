"""What a YARN container is, gets and is made into: policy over its spec, what it holds of the node, the rewriting."""

from __future__ import annotations

import os
import time

from yarn_kata_runtime import paths, plainjson
from yarn_kata_runtime.container import launch_script, policy, rewriting
from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.node import files
from yarn_kata_runtime.node.ports import free_block
from yarn_kata_runtime.node.store import Claim, Store
from yarn_kata_runtime.runtime import bundle as bundles
from yarn_kata_runtime.runtime import prepare, record
from yarn_kata_runtime.runtime.release import listed, release

TYPE_CHECKING = False
if TYPE_CHECKING:
    from yarn_kata_runtime.compiled import Network, Policy, RuntimeClass
    from yarn_kata_runtime.container.identity import Identity
    from yarn_kata_runtime.container.policy import Decision
    from yarn_kata_runtime.container.rewriting import Plan
    from yarn_kata_runtime.container.spec import Spec
    from yarn_kata_runtime.node.store import Held, Row
    from yarn_kata_runtime.runtime.call import Call
    from yarn_kata_runtime.runtime.docker import DockerState

_INIT = os.path.dirname(os.path.dirname(__file__)) + "/native/init"


def decide(spec: Spec, identity: Identity, rules: Policy, state: DockerState) -> tuple[Decision, Network]:
    """Return what the container runs in and its kind of network; Refused if it asks for more than it may."""
    decision = policy.decide(rules, identity.user)
    volumes = [m["source"] for m in spec.get("mounts", []) if state.made_volume(m.get("source", ""))]
    own = [*state.own_folders(), *volumes]
    network = policy.check(spec, identity, decision.runtime_class, rules["node"], own, _is_own_network)
    return decision, network


def give(
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
            prepare.share_hosts(state.folder)
        rewriting.rewrite(spec, plan)
        bundles.write(bundle, spec)
    except BaseException as error:
        release(key)
        if isinstance(error, (OSError, ValueError)):
            raise Refused(f"{identity.container} cannot be prepared: {error}") from None
        raise


def _claim(
    call: Call, key: str, bundle: str, identity: Identity, decision: Decision, network: Network, rules: Policy
) -> tuple[Held, Row | None]:
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
        store.begin(_records_with_rows)
        held = store.claim(claim, slots, owner, rules["ports"] if routed else None, free_block, time.time())
        return held, store.row(key)


def _records_with_rows() -> bool:
    return any(os.path.exists(f"{record.folder(key)}/{record.ROW}") for key in listed(paths.containers()))


def _plan(
    key: str,
    bundle: str,
    spec: Spec,
    identity: Identity,
    runtime_class: RuntimeClass,
    held: Held,
    rules: Policy,
) -> Plan:
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


def _is_own_network(path: str) -> bool:
    try:
        asked, own = os.stat(path), os.stat("/proc/self/ns/net")
    except OSError as error:
        raise Refused(f"the network namespace {path} cannot be looked at: {error.strerror}") from None
    return (asked.st_dev, asked.st_ino) == (own.st_dev, own.st_ino)
