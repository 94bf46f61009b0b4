"""Hadoop's daemons on the nodes, from a plain classpath."""

from typing import NamedTuple

from integration import accounts, nodes
from integration.images import JAVA_HOME

CLASSPATH = "/etc/hadoop:/opt/hadoop:/opt/hadoop/lib/*"
# Quick to start and small; the opened package is what Hadoop's scripts give a JDK 17 too.
JVM_OPTIONS = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
)


class Daemon(NamedTuple):
    """One JVM; `heap_mb` is -Xmx."""

    name: str
    user: str
    heap_mb: int
    main: str


NAMENODE = Daemon("namenode", accounts.HDFS.name, 256, "org.apache.hadoop.hdfs.server.namenode.NameNode")
DATANODE = Daemon("datanode", accounts.HDFS.name, 192, "org.apache.hadoop.hdfs.server.datanode.DataNode")
RESOURCEMANAGER = Daemon(
    "resourcemanager", accounts.YARN.name, 384, "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager"
)
NODEMANAGER = Daemon("nodemanager", accounts.YARN.name, 320, "org.apache.hadoop.yarn.server.nodemanager.NodeManager")

# In the order of their start: HDFS is formatted while YARN's daemons come up, which do not need it yet.
PLACES = (
    (nodes.MASTER, RESOURCEMANAGER),
    *((node, NODEMANAGER) for node in nodes.WORKERS),
    (nodes.MASTER, NAMENODE),
    *((node, DATANODE) for node in nodes.WORKERS),
)


def java(main: str, *arguments: str, heap_mb: int = 256) -> list[str]:
    """The command line of one of Hadoop's main classes, for daemons and for clients."""
    options = [*JVM_OPTIONS, f"-Xmx{heap_mb}m", "-cp", CLASSPATH]
    return [f"{JAVA_HOME}/bin/java", *options, main, *arguments]


def start() -> None:
    """Start those that do not run; HDFS is formatted when it is new."""
    for node, daemon in PLACES:
        if not runs(node, daemon):
            if daemon is NAMENODE:
                _format()
            _start(node, daemon)


def runs(node: str, daemon: Daemon) -> bool:
    words = ["pgrep", "--pidfile", f"/run/cluster/{daemon.name}.pid", "java"]
    return nodes.execute(node, words, check=False).returncode == 0


def log(node: str, daemon: str, lines: int = 200) -> str:
    """The end of a daemon's log."""
    return nodes.execute(node, ["tail", f"--lines={lines}", f"/var/log/cluster/{daemon}.log"], check=False).stdout


def _start(node: str, daemon: Daemon) -> None:
    nodes.start_daemon(node, daemon.user, daemon.name, java(daemon.main, heap_mb=daemon.heap_mb))


def _format() -> None:
    if nodes.execute(nodes.MASTER, ["test", "-e", "/data/hdfs/name/current"], check=False).returncode == 0:
        return
    words = java(NAMENODE.main, "-format", "-nonInteractive")
    nodes.execute(nodes.MASTER, words, user=NAMENODE.user)
