"""Specs as a real YARN handed them down, and the node that they were recorded on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yarn_kata_runtime.config.model import DEFAULT_CAPABILITIES
from yarn_kata_runtime.container.identity import Origin

if TYPE_CHECKING:
    from yarn_kata_runtime.compiled import Node, RuntimeClass, Slot

GOLDEN = Path(__file__).parent.parent / "golden"
LOCAL = "/var/lib/hadoop-yarn/nm/local"
LOG = "/var/lib/hadoop-yarn/nm/log"
ALICE, BOB = 5001, 5002
UIDS = {"alice": ALICE, "bob": BOB, "root": 0}
SLOT: Slot = {"account": "slot1", "uid": 6001, "gid": 6001}

# name of the golden spec -> the YARN container it belongs to
DOCKER = {
    "ds-bridge": "container_1795190376517_0001_01_000002",
    "ds-host": "container_1795190376517_0002_01_000002",
    "ds-kill": "container_1795190376517_0005_01_000002",
    "spark-bridge-plain": "container_1795190376517_0006_01_000001",
    "mr-bridge-plain": "container_1795190376517_0008_01_000001",
    "ds-cgroup": "container_1795190376517_0022_01_000002",
    "ds-entrypoint": "container_1795190376517_0036_01_000002",
}
RUNC = {
    "runc-mode": "container_1795190376517_0031_01_000002",
    "runc-kill": "container_1795190376517_0032_01_000002",
}
CONTAINERS = DOCKER | RUNC

Spec = dict[str, Any]


def golden(name: str) -> Spec:
    """Return a fresh copy of a golden spec."""
    spec: Spec = json.loads((GOLDEN / f"{name}.json").read_text())
    return spec


def script(name: str) -> str:
    """Return a golden launch script."""
    return (GOLDEN / f"{name}.sh").read_text()


def application(name: str) -> str:
    """Return the application that a golden spec belongs to."""
    _, cluster, number, _, _ = CONTAINERS[name].split("_")
    return f"application_{cluster}_{number}"


def origin(name: str) -> Origin:
    """Return what the caller of the runtime said of a golden spec."""
    container = CONTAINERS[name]
    if name in RUNC:
        return Origin(container, f"{LOCAL}/nmPrivate/{application(name)}/{container}", "")
    docker_id = docker_folder(name).rpartition("/")[2]
    return Origin(docker_id, f"/run/containerd/io.containerd.runtime.v2.task/moby/{docker_id}", container)


def docker_folder(name: str) -> str:
    """Return the folder that Docker made for a golden container."""
    return next(
        str(mount["source"]).removesuffix("/hostname")
        for mount in golden(name)["mounts"]
        if mount["destination"] == "/etc/hostname"
    )


def node(**changed: Any) -> Node:
    """Return the node of the golden specs; arguments replace its values."""
    given: Node = {
        "hostname": "",
        "local_dirs": [LOCAL],
        "log_dirs": [LOG],
        "nm_uid": 5000,
        "nm_gid": 5000,
        "nonsecure_uid": -1,
        "share_hosts": True,
    }
    return given | changed  # type: ignore[return-value]


def runtime_class(**changed: Any) -> RuntimeClass:
    """Return a class that allows what the golden specs ask for; arguments replace its values."""
    given: RuntimeClass = {
        "name": "gvisor",
        "driver": "oci",
        "argv": ["/usr/local/bin/runsc"],
        "ports": "sysctl",
        "networks": ["bridge"],
        "mounts_ro": ["/etc/passwd", "/etc/group", "/etc/hadoop", "/opt"],
        "mounts_rw": ["/srv/yarn"],
        "capabilities": DEFAULT_CAPABILITIES,
        "devices": False,
        "no_new_privileges": False,
        "kill_grace_ms": 1000,
        "pids": 0,
        "open_files": 0,
    }
    return given | changed  # type: ignore[return-value]


def uid_of(user: str) -> int | None:
    """Look up an account of the node."""
    return UIDS.get(user)


def mount(source: str, *options: str, destination: str | None = None) -> Spec:
    """Return a bind mount, writable unless the options say otherwise."""
    where = source if destination is None else destination
    return {"destination": where, "type": "bind", "source": source, "options": ["rbind", *options]}


def mounts_below(spec: Spec, folder: str) -> list[Spec]:
    """Return the spec's mounts whose source is `folder` or below it."""
    return [m for m in spec["mounts"] if (m.get("source", "") + "/").startswith(folder + "/")]


def without_yarn(name: str) -> Spec:
    """Return the golden spec as a plain `docker run` would have it: nothing in it is YARN's."""
    spec = golden(name)
    spec["mounts"] = [
        m for m in spec["mounts"] if not m.get("source", "").startswith("/var/lib/hadoop-yarn/")
    ]
    spec["process"]["args"] = ["bash", "-c", "date"]
    spec["process"]["cwd"] = "/"
    spec["linux"]["cgroupsPath"] = "/docker/" + docker_folder(name).rpartition("/")[2]
    return spec
