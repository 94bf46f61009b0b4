"""First process of a node's container: what a node's boot would have done, then dockerd, then reaping.

    python3 -I init.py worker|master
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

CLUSTER = Path("/opt/cluster")
YARN_UID, HDFS_UID, HADOOP_GID = 5000, 5010, 5000
RUNTIME = Path("/usr/bin/yarn-kata-runtime")


def main() -> None:
    worker = sys.argv[1] == "worker"
    prepare_folders()
    if worker:
        make_cgroups_writable()
        install_runtime()
        install_container_executor()
        daemon = start_dockerd()
    Path("/run/cluster/ready").touch()

    def stop(*_: object) -> None:
        if worker:
            daemon.terminate()
            daemon.wait(20)
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    reap_forever()


def prepare_folders() -> None:
    for path, uid in (
        ("/data/yarn", YARN_UID),
        ("/data/yarn/local", YARN_UID),
        ("/data/yarn/log", YARN_UID),
        ("/data/hdfs", HDFS_UID),
        ("/run/cluster", 0),
        ("/var/log/cluster", 0),
    ):
        os.makedirs(path, exist_ok=True)
        os.chown(path, uid, HADOOP_GID if uid else 0)
        # Daemons of several users leave pid files and logs here.
        os.chmod(path, 0o755 if uid else 0o1777)


def make_cgroups_writable() -> None:
    """Docker mounts them read-only; the bind flag alone can be changed from here."""
    with open("/proc/mounts") as mounts:
        folders = [line.split()[1] for line in mounts if line.split()[2] in ("cgroup", "cgroup2")]
    for folder in [*folders, "/sys/fs/cgroup"]:
        subprocess.run(["mount", "-o", "remount,bind,rw", folder], check=True)
    for controller in ("cpu", "memory"):
        hierarchy = Path("/sys/fs/cgroup") / controller
        if hierarchy.is_dir():
            make_yarn_hierarchy(hierarchy / "hadoop-yarn")
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        delegate_unified()


def make_yarn_hierarchy(folder: Path) -> None:
    """The NodeManager makes its containers' cgroups here."""
    folder.mkdir(exist_ok=True)
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, YARN_UID, HADOOP_GID)


def delegate_unified() -> None:
    """cgroup v2 gives controllers only to a group whose own processes are elsewhere."""
    root = Path("/sys/fs/cgroup")
    (root / "init").mkdir(exist_ok=True)
    for pid in (root / "cgroup.procs").read_text().split():
        (root / "init" / "cgroup.procs").write_text(pid)
    controllers = (root / "cgroup.controllers").read_text().split()
    (root / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))


def install_runtime() -> None:
    """This project as a package would leave it: the command, and a configuration that can be edited."""
    RUNTIME.symlink_to(os.readlink(CLUSTER / "runtime/usr/bin/yarn-kata-runtime"))
    os.makedirs("/etc/yarn-kata", mode=0o755, exist_ok=True)
    shutil.copy(CLUSTER / "config.toml", "/etc/yarn-kata/config.toml")
    os.makedirs("/etc/docker", exist_ok=True)
    shutil.copy(CLUSTER / "conf/daemon.json", "/etc/docker/daemon.json")


def install_container_executor() -> None:
    """root's, setuid, and executable by the NodeManager's group only."""
    shutil.copytree(CLUSTER / "yarn", "/opt/yarn")
    program = "/opt/yarn/bin/container-executor"
    os.chown(program, 0, HADOOP_GID)
    os.chmod(program, 0o6050)


def start_dockerd() -> "subprocess.Popen[bytes]":
    log = open("/var/log/cluster/dockerd.log", "ab")  # noqa: SIM115 - dockerd's for its lifetime
    return subprocess.Popen(["/usr/sbin/dockerd"], stdout=log, stderr=log, start_new_session=True)


def reap_forever() -> None:
    """Shims and daemons whose parents are gone become ours."""
    while True:
        try:
            os.wait()
        except ChildProcessError:
            signal.pause()


main()
