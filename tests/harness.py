"""A node of its own in namespaces of this machine: real runtimes, real nftables, real mounts, no daemon.

Inside, /run/yarn-kata, /etc/yarn-kata, the NodeManager's folders, Docker's containers folder and the
account files are the node's own; the network is a bridge as Docker would make it.  Used by the tests of
the verbs and by the benchmarks.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parent.parent
PACKAGE = REPO / "build" / "venv" / "lib" / "python3.11" / "site-packages" / "yarn_kata_runtime"  # as installed
LAUNCHER = PACKAGE / "native" / "launcher"
GOLDEN = REPO / "tests" / "golden"
NM = Path("/var/lib/hadoop-yarn/nm")
ROOT = "/run/test-runtime"  # what the engine passes as --root
STOP = ("/bin/busybox", "sleep", "1000")

ALICE, BOB, YARN, HADOOP = 5001, 5002, 5000, 5000
SLOTS = {"slot1": 6001, "slot2": 6002, "slot3": 6003}

CONFIG = """
foreign = "runc"

[node]
local_dirs = ["/var/lib/hadoop-yarn/nm/local"]
log_dirs = ["/var/lib/hadoop-yarn/nm/log"]
share_hosts = true

[classes.runc]
path = "/usr/sbin/runc"

[classes.plain]
path = "/usr/sbin/runc"
mounts_ro = ["/etc/passwd", "/etc/group", "/etc/hadoop", "/opt"]
mounts_rw = ["/srv/yarn"]

[[tenants]]
users = ["alice", "bob", "team-*"]
class = "plain"

[slots]
accounts = ["slot1", "slot2", "slot3"]

[ports]
pool = "16384-17407"
block = 256
"""


class PrivateNode:
    """Namespaces with everything a node has; a context manager."""

    def __init__(self) -> None:
        self.scratch = Path(tempfile.mkdtemp(prefix="ykr-node-", dir="/var/tmp"))
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "--propagation", "private", "sleep", "infinity"], start_new_session=True
        )
        self.bundles: list[Bundle] = []

    def __enter__(self) -> PrivateNode:
        try:
            self._until(lambda: self._namespace("net") != os.readlink("/proc/self/ns/net"))
            self._accounts()
            self.run(["sh", "-e", "-c", _SET_UP], env={"SCRATCH": str(self.scratch), "BASE": str(REPO)})
            self.configure(CONFIG)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for bundle in self.bundles:
            bundle.delete("--force", check=False)
        self.run(["sh", "-c", "umount -R /run/yarn-kata /run/test-runtime /var/lib/hadoop-yarn /sys"], check=False)
        os.kill(self._holder.pid, signal.SIGKILL)
        self._holder.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _namespace(self, kind: str) -> str:
        return os.readlink(f"/proc/{self._holder.pid}/ns/{kind}")

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("the private node's namespaces did not come up")
            time.sleep(0.01)

    def _accounts(self) -> None:
        passwd = Path("/etc/passwd").read_text()
        group = Path("/etc/group").read_text()
        for name, uid in {"alice": ALICE, "bob": BOB, "yarn": YARN, **SLOTS}.items():
            passwd += f"{name}:x:{uid}:{uid}::/:/bin/false\n"
            group += f"{name if name != 'yarn' else 'hadoop'}:x:{uid}:\n"
        (self.scratch / "passwd").write_text(passwd)
        (self.scratch / "group").write_text(group)

    def inside(self, argv: Sequence[str]) -> list[str]:
        """Return the arguments that run `argv` in the node."""
        pid = str(self._holder.pid)
        return ["nsenter", f"--mount=/proc/{pid}/ns/mnt", f"--net=/proc/{pid}/ns/net", "--", *argv]

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        cwd: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the node and return what it printed."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:  # pipes would wait for
            code = subprocess.run(  # the container, which inherits them
                self.inside(argv),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                timeout=timeout,
                env={**os.environ, **(env or {})},
                cwd=cwd,
            ).returncode
            out.seek(0)
            err.seek(0)
            done = subprocess.CompletedProcess(argv, code, out.read(), err.read())
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(argv)} exited {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def configure(self, text: str) -> None:
        """Write config.toml."""
        (self.scratch / "etc" / "config.toml").write_text(text)

    def runtime(self, *words: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run the command as an engine does."""
        log = str(self.scratch / "log.json")
        return self.run(
            [str(LAUNCHER), "--root", ROOT, "--log", log, "--log-format", "json", *words], check=check, **options
        )

    def people(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command for people."""
        return self.run([str(LAUNCHER), *words], check=check)

    def listed(self, what: str) -> list[dict[str, Any]]:
        """Return what `containers`, `routes` or `slots` prints as JSON."""
        rows: list[dict[str, Any]] = json.loads(self.people(what, "--json").stdout)
        return rows

    def last_log(self) -> str:
        """Return the message of the last line in the log."""
        line = (self.scratch / "log.json").read_text().splitlines()[-1]
        message: str = json.loads(line)["msg"]
        return message

    def yarn_bundle(
        self,
        *,
        user: str = "alice",
        golden: str = "ds-bridge",
        application: int = 1,
        container: int = 2,
        command: Sequence[str] = STOP,
        name: str | None = None,
    ) -> Bundle:
        """Make the folders of a YARN container as the NodeManager does, and its bundle from a golden spec."""
        bundle = Bundle(self, len(self.bundles) + 1, user, application, container)
        self.bundles.append(bundle)
        bundle.write(golden, command, bundle.container if name is None else name)
        return bundle


class Bundle:
    """A bundle in the node, and the YARN folders that belong to it."""

    def __init__(self, node: PrivateNode, number: int, user: str, application: int, container: int) -> None:
        self.node = node
        self.user = user
        self.id = f"{number:064x}"
        self.application = f"application_1795190376517_{application:04d}"
        self.container = f"container_1795190376517_{application:04d}_01_{container:06d}"
        self.path = node.scratch / "bundles" / self.id
        self.pid_file = self.path / "init.pid"
        self.docker = node.scratch / "docker" / "containers" / self.id

    @property
    def spec(self) -> dict[str, Any]:
        """The bundle's spec as it is now."""
        spec: dict[str, Any] = json.loads((self.path / "config.json").read_text())
        return spec

    @spec.setter
    def spec(self, spec: Mapping[str, Any]) -> None:
        (self.path / "config.json").write_text(json.dumps(spec))

    def write(self, golden: str, command: Sequence[str], name: str) -> None:
        """Write the bundle; `name` is the container's in Docker."""
        text = (GOLDEN / f"{golden}.json").read_text()
        recorded = json.loads(text)
        old = next(w for w in json.dumps(recorded).replace("/", " ").replace('"', " ").split() if w.startswith("container_"))
        text = text.replace(old, self.container)
        text = text.replace("application_" + "_".join(old.split("_")[1:3]), self.application)
        text = text.replace("usercache/alice", f"usercache/{self.user}")
        spec = json.loads(text)
        uid = {"alice": ALICE, "bob": BOB}.get(self.user, ALICE)
        spec["process"]["user"].update({"uid": uid, "gid": uid, "additionalGids": [uid]})
        spec["root"]["path"] = str(self.node.scratch / "rootfs")
        spec.pop("hooks", None)
        spec["linux"].pop("seccomp", None)
        spec["linux"]["cgroupsPath"] = f"/ykr-test/{self.id}"
        for mount in spec["mounts"]:
            if "/docker/containers/" in mount.get("source", ""):
                file = mount["source"].rpartition("/")[2]
                mount["source"] = f"/var/lib/docker/containers/{self.id}/{file}"
        self.path.mkdir(parents=True)
        self._docker_files(name)
        self._yarn_folders(uid, command)
        spec["process"]["args"] = ["/bin/busybox", "sh", *spec["process"]["args"][1:]]
        self.spec = spec

    def _docker_files(self, name: str) -> None:
        self.docker.mkdir(parents=True)
        state = json.loads((GOLDEN / "config.v2.json").read_text())
        state["Name"] = f"/{name}"
        (self.docker / "config.v2.json").write_text(json.dumps(state))
        (self.docker / "hostname").write_text("ctr\n")
        (self.docker / "hosts").write_text("127.0.0.1 localhost\n")

    def _yarn_folders(self, uid: int, command: Sequence[str]) -> None:
        words = " ".join(f"'{word}'" for word in command)
        script = f'#!/bin/bash\nexport NM_HOST="nm1.lab"\nexec {words}\n'
        environment = {
            "USER_NAME": self.user,
            "USER_ID": str(uid),
            "APP": self.application,
            "CID": self.container,
            "SCRIPT": script,
        }
        self.node.run(["sh", "-e", "-c", _YARN_FOLDERS], env=environment)

    def create(self, verb: str = "create", *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Create the container as containerd's shim does."""
        words = ("--bundle", str(self.path), "--pid-file", str(self.pid_file), self.id)
        return self.node.runtime(verb, *words, check=check, cwd=str(self.path))

    @property
    def pid(self) -> int:
        """The host pid of the container's first process."""
        return int(self.pid_file.read_text())

    def attach(self, address: str) -> None:
        """Attach the network as an engine does between create and start."""
        environment = {"PID": str(self.pid), "ADDRESS": address, "VETH": f"v{self.id[-8:]}"}
        self.node.run(["sh", "-e", "-c", _ATTACH], env=environment)

    def start(self, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Start the container."""
        return self.node.runtime("start", self.id, check=check)

    def delete(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Delete the container."""
        return self.node.runtime("delete", *words, self.id, check=check)

    def inside(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the container with the verb exec."""
        return self.node.runtime("exec", self.id, *argv, check=check)


_SET_UP = """
mkdir "$SCRATCH"/cgroup
mount --rbind /sys/fs/cgroup "$SCRATCH"/cgroup
mount -t sysfs sysfs /sys
mount --rbind "$SCRATCH"/cgroup /sys/fs/cgroup
mkdir -p "$SCRATCH"/etc "$SCRATCH"/run "$SCRATCH"/nm "$SCRATCH"/docker "$SCRATCH"/bundles "$SCRATCH"/rootfs/bin
chmod 755 "$SCRATCH"
mkdir -p /run/yarn-kata /etc/yarn-kata /run/test-runtime /var/lib/hadoop-yarn /var/lib/docker /srv/yarn/dfs
mkdir -p /opt/spark /opt/hadoop /etc/hadoop
touch /etc/hadoop/resolv.conf
mount --bind "$SCRATCH"/passwd /etc/passwd
mount --bind "$SCRATCH"/group /etc/group
mount --bind "$SCRATCH"/etc /etc/yarn-kata
mount --bind "$SCRATCH"/docker /var/lib/docker
mount --bind "$SCRATCH"/nm /var/lib/hadoop-yarn
mount -t tmpfs -o mode=755 tmpfs /run/yarn-kata
mount -t tmpfs -o mode=700 tmpfs /run/test-runtime
cp /bin/busybox "$SCRATCH"/rootfs/bin/busybox
for name in sh cat id ls nc sleep sysctl grep; do ln -s busybox "$SCRATCH"/rootfs/bin/$name; done
mkdir -p "$SCRATCH"/rootfs/etc "$SCRATCH"/rootfs/proc "$SCRATCH"/rootfs/dev "$SCRATCH"/rootfs/sys
echo 'root:x:0:0:root:/:/bin/sh' > "$SCRATCH"/rootfs/etc/passwd
echo 'root:x:0:' > "$SCRATCH"/rootfs/etc/group
mkdir -p /var/lib/hadoop-yarn/nm/local/filecache /var/lib/hadoop-yarn/nm/local/nmPrivate
mkdir -p /var/lib/hadoop-yarn/nm/local/usercache /var/lib/hadoop-yarn/nm/log
chown -R 5000:5000 /var/lib/hadoop-yarn
chmod 700 /var/lib/hadoop-yarn/nm/local/nmPrivate
ip link set lo up
ip link add br0 type bridge
ip address add 10.88.0.1/16 dev br0
ip link set br0 up
sysctl -q -w net.ipv4.ip_forward=1
"""

_YARN_FOLDERS = """
cd /var/lib/hadoop-yarn/nm
mkdir -p local/nmPrivate/$APP/$CID local/usercache/$USER_NAME/filecache
mkdir -p local/usercache/$USER_NAME/appcache/$APP/$CID log/$APP/$CID
printf %s "$SCRIPT" > local/nmPrivate/$APP/$CID/launch_container.sh
chown -R 5000:5000 local/nmPrivate/$APP
work=local/usercache/$USER_NAME/appcache/$APP/$CID
cp local/nmPrivate/$APP/$CID/launch_container.sh $work/
chown -R $USER_ID:5000 local/usercache/$USER_NAME
chown 5000:5000 log/$APP
chown $USER_ID:5000 log/$APP/$CID
chmod 2750 local/usercache/$USER_NAME local/usercache/$USER_NAME/filecache
chmod 2710 local/usercache/$USER_NAME/appcache/$APP $work log/$APP log/$APP/$CID
chmod 700 $work/launch_container.sh
"""

_ATTACH = """
ip link add $VETH type veth peer name eth0 netns $PID
ip link set $VETH master br0 up
nsenter --net=/proc/$PID/ns/net ip link set lo up
nsenter --net=/proc/$PID/ns/net ip address add $ADDRESS/16 dev eth0
nsenter --net=/proc/$PID/ns/net ip link set eth0 up
nsenter --net=/proc/$PID/ns/net ip route add default via 10.88.0.1
"""
