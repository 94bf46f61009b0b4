"""The nodes: containers of the outer engine, each with what a machine of a YARN cluster has."""

import functools
import hashlib
import subprocess
from collections.abc import Mapping, Sequence

from integration import gvisor, hadoop, spark, tree
from integration.engine import NETWORK, PREFIX, docker_argv
from integration.images import JOB_IMAGE, job_image, node_image
from integration.shell import ClusterError, run, wait_for

MASTER = tree.MASTER
WORKERS = ("node1", "node2")
ADDRESSES = {MASTER: f"{PREFIX}.10", **{name: f"{PREFIX}.{11 + n}" for n, name in enumerate(WORKERS)}}

# Enough for container-executor, nftables, cgroups, idmapped mounts, runc and runsc; not --privileged.
RIGHTS = (
    "--cap-add=SYS_ADMIN",
    "--cap-add=NET_ADMIN",
    "--cap-add=SYS_PTRACE",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--security-opt=systempaths=unconfined",
    "--cgroupns=private",
)


def start() -> None:
    """Make and start the nodes that do not run as they should, and wait for the workers' inner engines."""
    for name in ADDRESSES:
        words = _create_words(name)
        if not running(name) or _label(name) != _digest(words):
            remove(name)
            run(docker_argv("run", f"--label=recipe={_digest(words)}", *words))
    for name in WORKERS:
        wait_for(f"an answer of dockerd on {name}", functools.partial(_engine_answers, name), timeout=60)
        _clear_engine(name)
        _load_job_image(name)


def stop() -> None:
    """Remove the nodes; the inner engines' images stay in their volumes."""
    for name in ADDRESSES:
        if exists(name):
            run(docker_argv("stop", "--time=5", name), check=False)
            remove(name)


def exists(name: str) -> bool:
    return run(docker_argv("container", "inspect", name), check=False).returncode == 0


def running(name: str) -> bool:
    shown = run(docker_argv("container", "inspect", "--format={{.State.Running}}", name), check=False)
    return shown.stdout.strip() == "true"


def remove(name: str) -> None:
    """Remove the container, its data volume with it."""
    if exists(name):
        run(docker_argv("rm", "--force", "--volumes", name))


def execute(
    name: str,
    argv: Sequence[str],
    *,
    user: str | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    check: bool = True,
    timeout: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Run argv on a node, as root unless `user` says otherwise; ClusterError as `shell.run`."""
    options = [f"--user={user}"] if user else []
    options += [f"--env={key}={value}" for key, value in (env or {}).items()]
    if stdin is not None:
        options.append("--interactive")
    return run(docker_argv("exec", *options, name, *argv), stdin=stdin, check=check, timeout=timeout)


def start_daemon(name: str, user: str, daemon: str, argv: Sequence[str]) -> None:
    """Start a daemon on a node: /var/log/cluster/<daemon>.log, /run/cluster/<daemon>.pid."""
    words = ["/usr/bin/python3", "-I", "/opt/cluster/daemon.py", daemon, *argv]
    run(docker_argv("exec", "--detach", f"--user={user}", name, *words))


def _create_words(name: str) -> list[str]:
    worker = name in WORKERS
    hosts = [f"--add-host={host}:{address}" for host, address in ADDRESSES.items() if host != name]
    mounts = [
        f"--volume={tree.tree()}:/opt/cluster:ro",
        f"--volume={tree.tree() / 'conf'}:/etc/hadoop:ro",
        f"--volume={tree.tree() / 'resolv.conf'}:/etc/resolv.conf:ro",
        f"--volume={hadoop.home()}:/opt/hadoop:ro",
        f"--volume={spark.home()}:/opt/spark:ro",
        "--volume=/data",
    ]
    if worker:
        mounts += [
            f"--volume={tree.runtime()}{tree.RUNTIME_PREFIX}:{tree.RUNTIME_PREFIX}:ro",
            f"--volume={gvisor.binary()}:/usr/local/bin/runsc:ro",
            f"--volume={_engine_volume(name)}:/var/lib/docker",
        ]
    place = [f"--network={NETWORK}", f"--ip={ADDRESSES[name]}", f"--hostname={name}", f"--name={name}"]
    role = "worker" if worker else "master"
    init = ["/usr/bin/python3", "-I", "/opt/cluster/init.py", role]
    return ["--detach", *place, *hosts, *(RIGHTS if worker else ()), *mounts, node_image(), *init]


def _digest(words: list[str]) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()


def _label(name: str) -> str:
    """The digest of the words that the node was made with."""
    shown = run(docker_argv("container", "inspect", '--format={{index .Config.Labels "recipe"}}', name))
    return shown.stdout.strip()


def _engine_volume(name: str) -> str:
    return f"engine-{name}"


def _engine_answers(name: str) -> bool:
    if not running(name):
        said = run(docker_argv("logs", "--tail=20", name), check=False)
        raise ClusterError(f"{name} ended: {said.stdout}{said.stderr}")
    return execute(name, ["docker", "version"], check=False, timeout=20).returncode == 0


def _clear_engine(name: str) -> None:
    """Containers of an earlier run whose node is gone."""
    left = execute(name, ["docker", "ps", "--all", "--quiet"]).stdout.split()
    if left:
        execute(name, ["docker", "rm", "--force", *left])


def _load_job_image(name: str) -> None:
    wanted = run(docker_argv("image", "inspect", "--format={{.Id}}", job_image())).stdout
    have = execute(name, ["docker", "image", "inspect", "--format={{.Id}}", JOB_IMAGE], check=False)
    if have.stdout == wanted:
        return
    run(docker_argv("tag", job_image(), JOB_IMAGE))
    load = docker_argv("exec", "--interactive", name, "docker", "load")
    with subprocess.Popen(docker_argv("save", JOB_IMAGE), stdout=subprocess.PIPE) as save:
        loaded = subprocess.run(load, stdin=save.stdout, capture_output=True, text=True)
    if save.returncode or loaded.returncode:
        raise ClusterError(f"loading {JOB_IMAGE} into the engine of {name} failed: {loaded.stderr.strip()}")
