"""`docker run --rm` on a dockerd of our own, inside a private node: with runc, and with this runtime.

Its processes and its containers are in cgroups below one of the node's name, which counts the CPU of all.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from bench.meter import Cost, Meter
from bench.node import EXITS, Node
from tests.harness import ALICE, LAUNCHER, NM, Bundle, until

RUNTIMES = ("runc", "yarn-kata")
_SOCKET = "unix:///run/bench-docker.sock"
_IMAGE = "bench"
_START_SECONDS = 60
_SETTLE_SECONDS = 0.3  # the shim is still going when `docker run` has ended
_CGROUPS = Path("/sys/fs/cgroup")
# a cgroup first, then the command that is to run in it
_IN_CGROUP = ["sh", "-e", "-c", 'echo $$ > "$0"/cgroup.procs; exec "$@"']


class Engine:
    """A dockerd with the node's network and folders; a context manager."""

    def __init__(self, node: Node) -> None:
        self._node = node
        top = _CGROUPS if (_CGROUPS / "cgroup.controllers").exists() else _CGROUPS / "cpuacct"
        self._cgroup = top / node.scratch.name
        self._yarn = node.yarn_bundle(command=EXITS)

    def __enter__(self) -> Engine:
        (self._cgroup / "engine").mkdir(parents=True, exist_ok=True)
        settings = self._node.scratch / "daemon.json"
        settings.write_text(json.dumps({"runtimes": {"yarn-kata": {"path": str(LAUNCHER)}}}))
        options = [f"--host={_SOCKET}", f"--config-file={settings}", "--data-root=/var/lib/bench-docker"]
        options += ["--exec-opt=native.cgroupdriver=cgroupfs", "--pidfile=/run/bench-docker.pid"]
        options += ["--exec-root=/run/bench-docker", f"--cgroup-parent=/{self._node.scratch.name}/containers"]
        argv = [*_IN_CGROUP, str(self._cgroup / "engine"), "/usr/sbin/dockerd", *options]
        with open(self._node.scratch / "dockerd.log", "wb") as log:
            self._process = subprocess.Popen(self._node.inside(argv), stdout=log, stderr=log)
        try:
            until(self._answers, "an answer of dockerd", _START_SECONDS)
            rootfs = self._node.scratch / "rootfs"
            archive = self._node.scratch / "image.tar"
            self._node.run(["tar", "-C", str(rootfs), "-cf", str(archive), "."])
            self._node.run(["docker", "--host", _SOCKET, "import", str(archive), _IMAGE])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def _answers(self) -> bool:
        return self._node.run(["docker", "--host", _SOCKET, "version"], check=False).returncode == 0

    def foreign(self, meter: Meter, runtime: str) -> Cost:
        """Run a container that is not YARN's."""
        return self._run(meter, ["--runtime", runtime], EXITS)

    def yarn(self, meter: Meter, runtime: str) -> Cost:
        """Run a container as YARN's LinuxContainerExecutor does."""
        bundle = self._yarn
        options = ["--runtime", runtime, "--name", bundle.container, "--workdir", str(bundle.work), *_as_yarn(bundle)]
        return self._run(meter, options, ["sh", f"{bundle.work}/launch_container.sh"])

    def _run(self, meter: Meter, options: Sequence[str], command: Sequence[str]) -> Cost:
        before = self._used()
        cost = meter.run(["docker", "--host", _SOCKET, "run", "--rm", *options, _IMAGE, *command])
        time.sleep(_SETTLE_SECONDS)
        return Cost(cost.cpu + self._used() - before, cost.wall)

    def _used(self) -> float:
        """Return the CPU that dockerd, its children and all containers have used so far, milliseconds."""
        if (file := self._cgroup / "cpu.stat").exists() and self._cgroup.parent == _CGROUPS:
            return int(file.read_text().split()[1]) / 1e3
        return int((self._cgroup / "cpuacct.usage").read_text()) / 1e6


def _as_yarn(bundle: Bundle) -> list[str]:
    """Return the options by which the LinuxContainerExecutor gives user, rights and folders."""
    user = NM / "local" / "usercache" / bundle.user
    read_only = [Path("/etc/passwd"), Path("/etc/group"), NM / "local" / "filecache", user / "filecache"]
    mounts = [f"--volume={path}:{path}:ro" for path in read_only]
    mounts += [f"--volume={path}:{path}" for path in (bundle.logs, user / "appcache" / bundle.application)]
    return ["--network=bridge", "--cap-drop=ALL", f"--user={ALICE}:{ALICE}", *mounts]
