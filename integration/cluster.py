"""The mini-cluster: a two-node YARN cluster in containers, on this machine.

    python -m integration.cluster up|down|status|logs|clean

up     starts what does not run, building and fetching what is missing, and says where the web page is
down   removes nodes, network and the engine that was started; downloads and images stay
status says what runs
logs   the end of each daemon's log
clean  as down, and removes downloads and images too
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from integration import daemons, engine, gvisor, hadoop, images, nodes, packages, spark, tree
from integration.nodes import ADDRESSES, MASTER, WORKERS, execute
from integration.paths import cache
from integration.shell import ClusterError, step, wait_for

# Made as the superuser before the first job: path and mode.
HDFS_FOLDERS = {
    "/tmp": "1777",
    "/app-logs": "1777",
    "/user": "755",
    "/user/history": "1777",
    "/user/history/intermediate": "1777",
}
USERS = ("alice", "bob", "carol")


class Cluster:
    """A running cluster, as jobs and tests use it."""

    master = MASTER
    """The node with ResourceManager and NameNode; users submit from here."""

    nodes = WORKERS
    """The nodes that run containers."""

    addresses = ADDRESSES
    """Name to IP address, of all nodes; this machine reaches them."""

    rm = f"http://{ADDRESSES[MASTER]}:8088"
    """The ResourceManager's web page; its REST API is below /ws/v1."""

    namenode = f"http://{ADDRESSES[MASTER]}:9870"
    """The NameNode's web page; WebHDFS is below /webhdfs/v1."""

    local_dir = tree.LOCAL_DIR
    log_dir = tree.LOG_DIR

    def exec(
        self,
        node: str,
        argv: Sequence[str],
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        timeout: float = 300,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on a node, as root unless `user` says otherwise; ClusterError if it fails."""
        return execute(node, argv, user=user, env=env, check=check, timeout=timeout)

    def submit(
        self, user: str, argv: Sequence[str], check: bool = True, timeout: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Run a client's command as a user of the cluster: spark-submit, or what `java` returns."""
        program, *arguments = argv
        path = f"/opt/spark/bin/{program}" if program.startswith("spark-") else program
        home = {"HOME": f"/home/{user}", "SPARK_CONF_DIR": "/etc/hadoop"}
        return self.exec(self.master, [path, *arguments], user=user, env=home, check=check, timeout=timeout)

    def java(self, main: str, *arguments: str) -> list[str]:
        """The command line of one of Hadoop's client classes, for `submit`."""
        return daemons.java(main, *arguments)


def up() -> Cluster:
    """Start what does not run and wait, at most some minutes, until both NodeManagers are registered."""
    _needs_root()
    packages.install()
    with engine.only_one():
        engine.start()
        images.build()
        hadoop.fetch()
        spark.fetch()
        gvisor.build()
        if not tree.current():
            nodes.stop()
            tree.assemble()
        with step("starting the nodes"):
            nodes.start()
        with step("starting Hadoop"):
            daemons.start()
            wait_for_daemons()
            make_hdfs_folders()
    print(f"  containers are launched by {tree.container_executor()}")
    print(f"  ResourceManager: {Cluster.rm}", flush=True)
    return Cluster()


def down() -> None:
    """Remove what `up` started; what it fetched and built stays."""
    _needs_root()
    with engine.only_one():
        if engine.left_alone():
            engine.start()
        if engine.answers():
            nodes.stop()
        engine.stop()


def clean() -> None:
    """`down`, and remove what was fetched and built."""
    down()
    shutil.rmtree(cache(), ignore_errors=True)


def _needs_root() -> None:
    if os.geteuid() != 0:
        raise ClusterError("the mini-cluster needs root on this machine: run it with sudo")


def status() -> str:
    """One line a node, one a registered NodeManager."""
    if not engine.answers():
        return "the cluster is down"
    lines = [f"{name} {'runs' if nodes.running(name) else 'is down'}" for name in ADDRESSES]
    with contextlib.suppress(OSError):
        lines += [f"{node['id']} {node['state']}" for node in _registered()]
    return "\n".join(lines)


def logs(lines: int = 40) -> str:
    """The end of each daemon's log, under a heading each."""
    shown = [(node, daemon.name) for node, daemon in daemons.PLACES]
    shown += [(node, "dockerd") for node in WORKERS]
    return "\n".join(f"==> {node} {name}\n{daemons.log(node, name, lines)}" for node, name in shown)


def wait_for_daemons() -> None:
    """Both NodeManagers registered and both DataNodes alive, or a ClusterError with the logs' ends."""
    try:
        wait_for("the registration of both NodeManagers", _nodemanagers_are_up, timeout=120, interval=0.3)
        wait_for("the registration of both DataNodes", _datanodes_are_up, timeout=60, interval=0.3)
    except ClusterError as error:
        raise ClusterError(f"{error}\n{logs()}") from error


def make_hdfs_folders() -> None:
    """Shared folders, and a home for every user."""
    for path, mode in HDFS_FOLDERS.items():
        _webhdfs("PUT", path, op="MKDIRS", permission=mode)
    for user in USERS:
        _webhdfs("PUT", f"/user/{user}", op="MKDIRS", permission="700")
        _webhdfs("PUT", f"/user/{user}", op="SETOWNER", owner=user, group=user)


def _registered() -> list[dict[str, Any]]:
    found = _get(f"{Cluster.rm}/ws/v1/cluster/nodes")["nodes"]
    return list(found["node"]) if found else []


def _nodemanagers_are_up() -> bool:
    try:
        running = [node for node in _registered() if node["state"] == "RUNNING"]
        return len(running) == len(WORKERS)
    except (OSError, ValueError):
        return False


def _datanodes_are_up() -> bool:
    query = "jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState"
    try:
        state = _get(f"{Cluster.namenode}/{query}")["beans"]
        return bool(state) and int(state[0]["NumLiveDataNodes"]) == len(WORKERS)
    except (OSError, ValueError):
        return False


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)


def _webhdfs(method: str, path: str, **query: str) -> None:
    words = "&".join(f"{key}={value}" for key, value in {**query, "user.name": "hdfs"}.items())
    request = urllib.request.Request(f"{Cluster.namenode}/webhdfs/v1{path}?{words}", method=method)
    try:
        urllib.request.urlopen(request, timeout=30).close()
    except urllib.error.HTTPError as error:
        raise ClusterError(f"HDFS {query['op']} of {path}: {error}: {error.read().decode(errors='replace')}") from error


def main(arguments: list[str]) -> int:
    commands = {"up": up, "down": down, "clean": clean, "status": status, "logs": logs}
    if len(arguments) != 1 or arguments[0] not in commands:
        print(__doc__, file=sys.stderr)
        return 2
    started = time.monotonic()
    try:
        result = commands[arguments[0]]()
    except ClusterError as error:
        print(f"integration.cluster {arguments[0]}: {error}", file=sys.stderr)
        return 1
    if isinstance(result, str):
        print(result)
    else:
        print(f"  {arguments[0]}: {time.monotonic() - started:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
