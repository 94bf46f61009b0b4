"""A node for container-executor in a mount namespace of its own: accounts, the setuid program, a fake docker."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from integration import tree

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
YARN, HADOOP, ALICE, BOB = 54000, 54000, 54001, 54002
LOCAL, LOG = "/srv/nm/local", "/srv/nm/log"
APPLICATION = "application_1795190376517_0001"
CONTAINER = "container_1795190376517_0001_01_000002"
PRIVATE = f"{LOCAL}/nmPrivate/{APPLICATION}/{CONTAINER}"
WORK_DIR = f"{LOCAL}/usercache/alice/appcache/{APPLICATION}/{CONTAINER}"
LOG_DIR = f"{LOG}/{APPLICATION}/{CONTAINER}"
PID_FILE = f"{PRIVATE}/{CONTAINER}.pid"

CONFIGURATION = f"""
yarn.nodemanager.linux-container-executor.group=hadoop
banned.users=bob,root
min.user.id=1000
[docker]
  module.enabled=true
  docker.binary=/opt/fake-docker
  docker.allowed.runtimes=yarn-kata
  docker.allowed.networks=bridge,none
  docker.allowed.ro-mounts=/etc/passwd,{LOCAL}
  docker.allowed.rw-mounts={LOCAL},{LOG}
  docker.allowed.capabilities=CHOWN
  docker.trusted.registries=local
  docker.inspect.max.retries=1
"""

PASSWD = f"""root:x:0:0::/root:/bin/sh
daemon:x:1:1::/:/bin/false
yarn:x:{YARN}:{HADOOP}::/:/bin/false
alice:x:{ALICE}:{ALICE}::/:/bin/false
bob:x:{BOB}:{BOB}::/:/bin/false
"""
GROUP = f"root:x:0:\nhadoop:x:{HADOOP}:\nalice:x:{ALICE}:\nbob:x:{BOB}:\n"


class Node:
    """To be closed; `call` is the NodeManager's view, `root` the administrator's."""

    def __init__(self) -> None:
        self.scratch = Path(tempfile.mkdtemp(prefix="ykr-ce-", dir="/var/tmp"))
        self._holder = subprocess.Popen(["unshare", "--mount", "--propagation=private", "sleep", "infinity"])
        own = os.readlink("/proc/self/ns/mnt")
        while os.readlink(f"/proc/{self._holder.pid}/ns/mnt") == own:
            time.sleep(0.01)
        for name, text in (("passwd", PASSWD), ("group", GROUP), ("container-executor.cfg", CONFIGURATION)):
            (self.scratch / name).write_text(text)
        for name in ("passwd", "group"):
            self.root("mount", "--bind", f"{self.scratch}/{name}", f"/etc/{name}")
        for folder in ("/opt", "/srv"):
            self.root("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder)
        self._install()

    def close(self) -> None:
        self._holder.send_signal(signal.SIGKILL)
        self._holder.wait()
        shutil.rmtree(self.scratch)

    def _install(self) -> None:
        tree.build_stand_in(self.scratch / "yarn")
        self.root("cp", "-r", f"{self.scratch}/yarn", "/opt/yarn")
        self.root("install", "-D", "-m", "644", f"{self.scratch}/container-executor.cfg", self.configuration)
        self.root("chgrp", str(HADOOP), tree.PROGRAM)
        self.root("chmod", "6050", tree.PROGRAM)
        self.root("install", "-m", "755", str(HERE / "fake_docker.py"), "/opt/fake-docker")
        self.root("install", "-d", "/srv/docker", "/srv/nm")
        self.root("install", "-d", "-o", str(YARN), "-g", str(HADOOP), LOCAL, LOG, f"{LOCAL}/usercache")
        self.as_yarn("mkdir", "-p", PRIVATE, f"{LOCAL}/filecache")
        self.as_yarn("chmod", "700", f"{LOCAL}/nmPrivate")
        self.write(f"{PRIVATE}/tokens", "secret")

    @property
    def configuration(self) -> str:
        return "/opt/yarn/etc/hadoop/container-executor.cfg"

    def root(self, *argv: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        enter = ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", "--wd=/"]
        done = subprocess.run([*enter, *argv], input=stdin, capture_output=True, text=True)
        assert not check or done.returncode == 0, (argv, done.stderr)
        return done

    def as_yarn(self, *argv: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        ids = ["setpriv", f"--reuid={YARN}", f"--regid={HADOOP}", "--clear-groups"]
        return self.root(*ids, "env", "PYTHONPATH=/nowhere", "EVIL=1", *argv, stdin=stdin, check=check)

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """container-executor as the NodeManager calls it."""
        return self.as_yarn(tree.PROGRAM, *arguments, check=False)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """As `call`, without waiting."""
        ids = ["setpriv", f"--reuid={YARN}", f"--regid={HADOOP}", "--clear-groups"]
        enter = ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", "--wd=/"]
        argv = [*enter, *ids, tree.PROGRAM, *arguments]
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def write(self, path: str, text: str) -> str:
        """A file of the NodeManager's."""
        self.as_yarn("tee", path, stdin=text)
        return path

    def read(self, path: str) -> str:
        return self.root("cat", path).stdout

    def about(self, path: str) -> str:
        """Owner, group and mode, as `alice 54000 2750`."""
        return self.root("stat", "--format=%U %g %a", path).stdout.strip()

    def exists(self, path: str) -> bool:
        return self.root("test", "-e", path, check=False).returncode == 0

    def docker_calls(self) -> list[tuple[dict[str, str], list[str]]]:
        return [tuple(json.loads(line)) for line in self.read("/srv/docker/calls").splitlines()]

    def script(self, *lines: str) -> str:
        """The launch script of the container."""
        return self.write(f"{PRIVATE}/launch_container.sh", "\n".join(("#!/bin/bash", *lines, "")))

    def command_file(self, **values: str) -> str:
        """A docker run of the container; `values` replace or add to what YARN writes, "" takes away."""
        defaults = {
            "docker-command": "run",
            "name": CONTAINER,
            "user": f"{ALICE}:{ALICE}",
            "detach": "true",
            "workdir": WORK_DIR,
            "net": "bridge",
            "mounts": f"{LOG_DIR}:{LOG_DIR}:rw,{LOCAL}/filecache:{LOCAL}/filecache:ro",
            "image": "local/task",
            "launch-command": f"bash,{WORK_DIR}/launch_container.sh",
        }
        changed = {key.replace("_", "-"): value for key, value in values.items()}
        lines = [f"  {key}={value}" for key, value in {**defaults, **changed}.items() if value]
        return self.write(f"{PRIVATE}/docker.cmd", "\n".join(["[docker-command-execution]", *lines, ""]))

    def launch_words(self, command: str, last: str, user: str = "alice") -> list[str]:
        paths = [WORK_DIR, f"{PRIVATE}/launch_container.sh", f"{PRIVATE}/tokens", "--http", PID_FILE, LOCAL, LOG]
        return [user, user, command, APPLICATION, CONTAINER, *paths, last]

    def run_container(self, **values: str) -> subprocess.CompletedProcess[str]:
        """Command 4 with a command file of these values."""
        return self.call(*self.launch_words("4", self.command_file(**values)))

    def wait_for(self, path: str) -> None:
        deadline = time.monotonic() + 20
        while not self.exists(path):
            assert time.monotonic() < deadline, f"{path} did not come"
            time.sleep(0.05)
