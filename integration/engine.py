"""The outer Docker engine: one of our own, in a network namespace of its own.

It shares nothing with a Docker that this machine may run: own data, sockets, containerd, bridge and
packet filter.  The outer machine reaches the nodes through a veth pair into their bridge.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from integration.paths import RUN, cache
from integration.shell import ClusterError, run, wait_for

NAMESPACE = "yarn-kata"
NETWORK = "yarn-kata"
BRIDGE = "ykr0"
PREFIX = "10.89.77"
GATEWAY = f"{PREFIX}.1"
HOST_ADDRESS = f"{PREFIX}.254"
SOCKET = RUN / "docker.sock"
CONTAINERD_SOCKET = RUN / "containerd.sock"

# No plugin that opens a TCP port or looks for a network configuration.
CONTAINERD_CONFIG = """version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
"""


def docker_argv(*words: str) -> list[str]:
    """A docker command line of the outer engine."""
    return ["/usr/bin/docker", f"--host=unix://{SOCKET}", *words]


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Whoever comes second waits: two that start or stop the cluster at once would make half of one."""
    RUN.mkdir(mode=0o711, parents=True, exist_ok=True)
    with open(RUN / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def answers() -> bool:
    """Is our dockerd there?"""
    return SOCKET.exists() and run(docker_argv("version"), check=False, timeout=20).returncode == 0


def left_alone() -> bool:
    """Do containers run on without a dockerd, because somebody killed it?"""
    return not answers() and any((RUN / "containerd/io.containerd.runtime.v2.task/moby").glob("*"))


def start() -> None:
    """Start containerd and dockerd unless they answer, and connect this machine to the nodes' network."""
    if not answers():
        _stop_processes()
        _make_namespace()
        _start_containerd()
        _start_dockerd()
    _make_network()


def stop() -> None:
    """Stop what `start` started, by the pids it wrote down; images and volumes stay."""
    _stop_processes()
    run(["umount", "--quiet", str(cache() / "engine/docker")], check=False)  # dockerd's, and it may stay
    if Path(f"/run/netns/{NAMESPACE}").exists():
        run(["ip", "netns", "delete", NAMESPACE])


def _make_namespace() -> None:
    if not Path(f"/run/netns/{NAMESPACE}").exists():
        run(["ip", "netns", "add", NAMESPACE])
    run(["ip", "-n", NAMESPACE, "link", "set", "lo", "up"])
    # Nodes that ask here for a name that they do not know are refused each time, not once a second.
    enter = ["/usr/bin/nsenter", f"--net=/run/netns/{NAMESPACE}"]
    run([*enter, "sysctl", "--quiet", "--write", "net.ipv4.icmp_ratelimit=0"])


def _start_containerd() -> None:
    config = RUN / "containerd.toml"
    config.write_text(CONTAINERD_CONFIG)
    argv = [
        "/usr/bin/containerd",
        f"--config={config}",
        f"--address={CONTAINERD_SOCKET}",
        f"--root={cache() / 'engine' / 'containerd'}",
        f"--state={RUN / 'containerd'}",
    ]
    _spawn("containerd", argv)
    wait_for("containerd's socket", CONTAINERD_SOCKET.exists, timeout=60)


def _start_dockerd() -> None:
    argv = [
        "/usr/bin/nsenter",
        f"--net=/run/netns/{NAMESPACE}",
        "/usr/sbin/dockerd",
        f"--host=unix://{SOCKET}",
        f"--containerd={CONTAINERD_SOCKET}",
        f"--data-root={cache() / 'engine' / 'docker'}",
        f"--exec-root={RUN / 'docker'}",
        f"--pidfile={RUN / 'dockerd.own.pid'}",
        "--bridge=none",
        "--userland-proxy=false",
    ]
    _spawn("dockerd", argv)
    wait_for(f"an answer of the outer dockerd (its log: {RUN / 'dockerd.log'})", answers, timeout=60)


def _spawn(name: str, argv: list[str]) -> None:
    with open(RUN / f"{name}.log", "ab") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    (RUN / f"{name}.pid").write_text(f"{process.pid} {_start_time(process.pid)}\n")


def _stop_processes() -> None:
    for name in ("dockerd", "containerd"):
        pid_file = RUN / f"{name}.pid"
        if pid_file.exists():
            pid, started = pid_file.read_text().split()
            _terminate(name, int(pid), started)
            pid_file.unlink()
    CONTAINERD_SOCKET.unlink(missing_ok=True)


def _terminate(name: str, pid: int, started: str) -> None:
    def gone() -> bool:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        return _start_time(pid) != started

    if gone():
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 20
    while not gone():
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            wait_for(f"the end of the outer {name} (pid {pid})", gone, timeout=10)
            return
        time.sleep(0.1)


def _start_time(pid: int) -> str:
    """The process's start in clock ticks (proc(5), field 22), "" if there is none: pids come again."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _make_network() -> None:
    if run(docker_argv("network", "inspect", NETWORK), check=False).returncode != 0:
        options = [f"--subnet={PREFIX}.0/24", f"--gateway={GATEWAY}"]
        name = f"com.docker.network.bridge.name={BRIDGE}"
        run(docker_argv("network", "create", *options, "--opt", name, NETWORK))
    if run(["ip", "link", "show", "ykr-host"], check=False).returncode != 0:
        _connect_host()


def _connect_host() -> None:
    """A leg of this machine on the nodes' bridge, so that a browser here reaches the ResourceManager."""
    taken = run(["ip", "-4", "route", "show", f"{PREFIX}.0/24"]).stdout.strip()
    if taken:
        raise ClusterError(f"the cluster's subnet {PREFIX}.0/24 is in use on this machine: {taken}")
    inside = ["ip", "-n", NAMESPACE, "link", "set", "ykr-lan"]
    pair = ["type", "veth", "peer", "name", "ykr-lan", "netns", NAMESPACE]
    run(["ip", "link", "add", "ykr-host", *pair])
    run([*inside, "master", BRIDGE, "up"])
    run(["ip", "address", "add", f"{HOST_ADDRESS}/24", "dev", "ykr-host"])
    run(["ip", "link", "set", "ykr-host", "up"])
