"""A node of its own in namespaces of this machine: real runtimes, real nftables, real mounts, no daemon.

Inside, /run, /etc, /opt, /srv, /var/lib and the accounts are the node's own; the network is a bridge as
Docker would make it.  The package is installed for the process that uses the harness, from the sources as
they are.  Used by the tests of the verbs and by the benchmarks.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from yarn_kata_runtime.native import build

REPO = Path(__file__).resolve().parent.parent
PREFIX = Path(f"/var/tmp/ykr-package-{os.getpid()}")
_LIBRARY = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
PACKAGE = PREFIX / _LIBRARY / "yarn_kata_runtime"
LAUNCHER = PACKAGE / "native" / "launcher"
GOLDEN = REPO / "tests" / "golden"
PYTHON = "/usr/bin/python3"
NM = Path("/var/lib/hadoop-yarn/nm")
RUN = Path("/run/yarn-kata")
RUNC = "/usr/sbin/runc"
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


@functools.cache
def install() -> Path:
    """Install the sources below PREFIX, until this process ends, and return the launcher."""
    atexit.register(shutil.rmtree, PREFIX, ignore_errors=True)
    venv.create(PREFIX, symlinks=True)
    shutil.copytree(
        REPO / "yarn_kata_runtime", PACKAGE, ignore=shutil.ignore_patterns("__pycache__", "launcher", "init")
    )
    (PREFIX / _LIBRARY / "dependencies.pth").write_text("\n".join(p for p in sys.path if p.endswith("-packages")))
    build.compile_launcher(LAUNCHER, python=build.base_interpreter())
    build.compile_init(LAUNCHER.with_name("init"))
    subprocess.run([PREFIX / "bin" / "python3", "-m", "compileall", "-q", PACKAGE], check=True)
    return LAUNCHER


class PrivateNode:
    """Namespaces with everything a node has; a context manager."""

    def __init__(self) -> None:
        install()
        self.scratch = Path(tempfile.mkdtemp(prefix="ykr-node-", dir="/var/tmp"))
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "--propagation", "private", "sleep", "infinity"], start_new_session=True
        )
        self.bundles: list[Bundle] = []
        self._made = 0

    def __enter__(self) -> PrivateNode:
        try:
            self._until(lambda: self._namespace("net") != os.readlink("/proc/self/ns/net"))
            self.run(["sh", "-e", "-c", _SET_UP], env={"SCRATCH": str(self.scratch)})
            self._accounts()
            self.configure(CONFIG)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.delete_all()
        self._remove_cgroups()
        os.kill(self._holder.pid, signal.SIGKILL)
        self._holder.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def delete_all(self) -> None:
        """Delete every container that was made here."""
        for bundle in self.bundles:
            bundle.delete("--force", check=False)
        self.bundles.clear()

    def _remove_cgroups(self) -> None:
        """End what a killed runtime left behind, and remove the cgroups of this node's containers."""
        tops = [*Path("/sys/fs/cgroup").glob(f"*/{self.scratch.name}"), Path("/sys/fs/cgroup", self.scratch.name)]
        folders = [Path(folder) for top in tops for folder, _, _ in os.walk(top, topdown=False)]
        for folder in folders:
            for pid in (folder / "cgroup.procs").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        for folder in folders:
            self._until(functools.partial(_removed, folder))

    def _namespace(self, kind: str) -> str:
        return os.readlink(f"/proc/{self._holder.pid}/ns/{kind}")

    def _until(self, condition: Callable[[], bool]) -> None:
        until(condition, "the private node's namespaces and cgroups")

    def _accounts(self) -> None:
        passwd = group = ""
        for name, uid in {"alice": ALICE, "bob": BOB, "yarn": YARN, **SLOTS}.items():
            passwd += f"{name}:x:{uid}:{uid}::/:/bin/false\n"
            group += f"{name if name != 'yarn' else 'hadoop'}:x:{uid}:\n"
        for file, lines in (("passwd", passwd), ("group", group)):
            with self.path(f"/etc/{file}").open("a") as accounts:
                accounts.write(lines)

    def path(self, path: str | Path) -> Path:
        """Return the way from outside to a path inside."""
        return Path(f"/proc/{self._holder.pid}/root{path}")

    def inside(self, argv: Sequence[str], cwd: str = "/") -> list[str]:
        """Return the arguments that run `argv` in the node."""
        spaces = f"/proc/{self._holder.pid}/ns"
        return ["nsenter", f"--mount={spaces}/mnt", f"--net={spaces}/net", f"--wdns={cwd}", "--", *argv]

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        cwd: str = "/",
        text: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the node with `text` as its input, and return what it printed."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err, _file(text) as stdin:
            code = subprocess.run(  # pipes would wait for the container, which inherits them
                self.inside(argv, cwd),
                stdin=stdin,
                stdout=out,
                stderr=err,
                timeout=timeout,
                env={**os.environ, **(env or {})},
            ).returncode
            out.seek(0)
            err.seek(0)
            done = subprocess.CompletedProcess(argv, code, out.read(), err.read())
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(argv)} exited {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def begin(
        self, argv: Sequence[str], *, cwd: str = "/", streams: int = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        """Start a command in the node; its pid is the command's own.

        Its streams are pipes, or DEVNULL: a pipe's end comes with the end of a container that was given it.
        """
        argv = self.inside(argv, cwd)
        return subprocess.Popen(argv, stdin=streams, stdout=streams, stderr=streams, text=True)

    def configure(self, text: str) -> None:
        """Write config.toml, as a new file: two versions within a tick of the clock differ too."""
        file = self.path("/etc/yarn-kata/config.toml")
        new = file.with_name("new.toml")
        new.write_text(text)
        new.rename(file)

    @property
    def log(self) -> Path:
        """The file of --log."""
        return self.scratch / "log.json"

    def engine(self, *words: str, log_format: str = "json") -> list[str]:
        """Return the command line by which an engine calls a verb."""
        return [str(LAUNCHER), "--root", ROOT, "--log", str(self.log), "--log-format", log_format, *words]

    def runtime(
        self, *words: str, check: bool = True, log_format: str = "json", **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a verb as an engine does."""
        return self.run(self.engine(*words, log_format=log_format), check=check, **options)

    def people(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command for people."""
        return self.run([str(LAUNCHER), *words], check=check)

    def listed(self, what: str) -> list[dict[str, Any]]:
        """Return what `containers`, `routes` or `slots` prints as JSON."""
        rows: list[dict[str, Any]] = json.loads(self.people(what, "--json").stdout)
        return rows

    def last_log(self) -> str:
        """Return the message of the last line in the log."""
        line = self.log.read_text().splitlines()[-1]
        message: str = json.loads(line)["msg"]
        return message

    def routes(self) -> dict[int, str]:
        """Return the routes that the kernel has, first port -> address."""
        return {port: address for name, (port, address) in self._elements() if name == "blocks"}

    def _elements(self) -> list[tuple[str, Any]]:
        """Return (name of the map or set, element) of all in the node's table."""
        done = self.run(["nft", "-j", "list", "table", "ip", "yarn_kata"], check=False)
        if done.returncode:
            return []
        named = [item.get("map") or item.get("set") or {} for item in json.loads(done.stdout)["nftables"]]
        return [(one["name"], element) for one in named for element in one.get("elem", [])]

    def leftovers(self) -> list[str]:
        """Return what containers hold on the node: rows, records, pins, mounts, routes, and those of the runtime."""
        found: list[str] = json.loads(self.run([PYTHON, "-IS", "-c", _LEFTOVERS]).stdout)
        return found + [f"element of {name}: {element}" for name, element in self._elements()]

    def yarn_bundle(
        self,
        *,
        user: str = "alice",
        golden: str = "ds-bridge",
        application: int = 1,
        container: int | None = None,
        command: Sequence[str] = STOP,
        name: str | None = None,
    ) -> Bundle:
        """Make the folders of a YARN container as the NodeManager does, and its bundle from a golden spec.

        `container` is by default a number of its own, `name` what Docker calls it, by default as YARN does.
        """
        bundle = self._bundle(user, application, container)
        bundle.write(golden, command, bundle.container if name is None else name)
        return bundle

    def foreign_bundle(self, *, command: Sequence[str] = STOP) -> Bundle:
        """Make a bundle of which nothing is YARN's."""
        bundle = self._bundle("nobody", 0, 0)
        bundle.write_foreign(command)
        return bundle

    def _bundle(self, user: str, application: int, container: int | None) -> Bundle:
        self._made += 1
        bundle = Bundle(self, self._made, user, application, self._made if container is None else container)
        self.bundles.append(bundle)
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
        self.work = NM / "local" / "usercache" / user / "appcache" / self.application / self.container
        self.logs = NM / "log" / self.application / self.container

    @property
    def config(self) -> Path:
        """The bundle's config.json."""
        return self.path / "config.json"

    @property
    def spec(self) -> dict[str, Any]:
        """The bundle's spec as it is now."""
        spec: dict[str, Any] = json.loads(self.config.read_text())
        return spec

    @spec.setter
    def spec(self, spec: Mapping[str, Any]) -> None:
        self.config.write_text(json.dumps(spec))

    @contextlib.contextmanager
    def changed(self) -> Iterator[dict[str, Any]]:
        """Give the spec to change, and write it."""
        spec = self.spec
        yield spec
        self.spec = spec

    def write(self, golden: str, command: Sequence[str], name: str) -> None:
        """Write the bundle of a YARN container; `name` is the container's in Docker."""
        text = (GOLDEN / f"{golden}.json").read_text()
        recorded = json.dumps(json.loads(text)).replace("/", " ").replace('"', " ").split()
        old = next(word for word in recorded if word.startswith("container_"))
        text = text.replace(old, self.container)
        text = text.replace("application_" + "_".join(old.split("_")[1:3]), self.application)
        text = text.replace("usercache/alice", f"usercache/{self.user}")
        spec = json.loads(text)
        uid = {"alice": ALICE, "bob": BOB}.get(self.user, ALICE)
        spec["process"]["user"].update({"uid": uid, "gid": uid, "additionalGids": [uid]})
        spec.pop("hooks", None)
        spec["linux"].pop("seccomp", None)
        for mount in spec["mounts"]:
            if "/docker/containers/" in mount.get("source", ""):
                file = mount["source"].rpartition("/")[2]
                mount["source"] = f"/var/lib/docker/containers/{self.id}/{file}"
        spec["process"]["args"] = ["/bin/busybox", "sh", *spec["process"]["args"][1:]]
        self._write(spec)
        self._docker_files(name)
        self._yarn_folders(uid, command)

    def write_foreign(self, command: Sequence[str]) -> None:
        """Write the bundle of an engine that is not YARN's."""
        spec = json.loads((GOLDEN / "ds-bridge.json").read_text())
        spec.pop("hooks", None)
        spec["linux"].pop("seccomp", None)
        spec["mounts"] = [m for m in spec["mounts"] if m["type"] != "bind"]
        spec["process"].update({"args": [*command], "cwd": "/", "user": {"uid": 0, "gid": 0}})
        self._write(spec)

    def _write(self, spec: dict[str, Any]) -> None:
        spec["root"]["path"] = str(self.node.scratch / "rootfs")
        spec["linux"]["cgroupsPath"] = f"/{self.node.scratch.name}/{self.id}"
        self.path.mkdir(parents=True)
        self.spec = spec

    def _docker_files(self, name: str) -> None:
        self.docker.mkdir(parents=True)
        state = json.loads((GOLDEN / "config.v2.json").read_text())
        state["Name"] = f"/{name}"
        (self.docker / "config.v2.json").write_text(json.dumps(state))
        (self.docker / "hostname").write_text("ctr\n")
        (self.docker / "hosts").write_text("127.0.0.1 localhost\n")

    def _yarn_folders(self, uid: int, command: Sequence[str]) -> None:
        words = shlex.join(command)
        script = f'#!/bin/bash\nexport NM_HOST="nm1.lab"\nexec {words}\n'
        environment = {
            "USER_NAME": self.user,
            "USER_ID": str(uid),
            "APP": self.application,
            "CID": self.container,
            "SCRIPT": script,
        }
        self.node.run(["sh", "-e", "-c", _YARN_FOLDERS], env=environment)

    def words(self, *options: str) -> list[str]:
        """Return what follows `create` or `run`."""
        return ["--bundle", str(self.path), "--pid-file", str(self.pid_file), *options, self.id]

    def create(
        self, verb: str = "create", *options: str, check: bool = True, log_format: str = "json", text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Create the container as containerd's shim does."""
        words = self.words(*options)
        return self.node.runtime(verb, *words, check=check, log_format=log_format, cwd=str(self.path), text=text)

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

    def launch(self, address: str | None = None) -> Bundle:
        """Create, attach where an address is given, and start."""
        self.create()
        if address:
            self.attach(address)
        self.start()
        return self

    def state(self) -> dict[str, Any]:
        """Return what the verb state prints."""
        state: dict[str, Any] = json.loads(self.node.runtime("state", self.id).stdout)
        return state

    def wait_stopped(self) -> None:
        """Wait until the container's first process has ended."""
        until(lambda: self.state()["status"] == "stopped", f"the end of container {self.id}")

    def delete(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Delete the container."""
        return self.node.runtime("delete", *words, self.id, check=check)

    def inside(self, *argv: str, check: bool = True, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command in the container with the verb exec."""
        return self.node.runtime("exec", self.id, *argv, check=check, text=text)

    def entered(self, *argv: str) -> list[str]:
        """Return the arguments that run a program of this machine in the container's network."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", *argv]

    def row(self) -> dict[str, Any]:
        """Return what `containers` says of it."""
        (row,) = [row for row in self.node.listed("containers") if row["id"] == self.id]
        return row


def until(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Wait for a condition; TimeoutError naming `what` is awaited."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.01)


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _file(text: str) -> Iterator[Any]:
    """Give an open file with this content."""
    with tempfile.TemporaryFile("w+") as file:
        file.write(text)
        file.seek(0)
        yield file


_SET_UP = """
mkdir "$SCRATCH"/cgroup "$SCRATCH"/nm "$SCRATCH"/docker "$SCRATCH"/bundles "$SCRATCH"/rootfs "$SCRATCH"/rootfs/bin
chmod 755 "$SCRATCH"
mount --rbind /sys/fs/cgroup "$SCRATCH"/cgroup
mount -t sysfs sysfs /sys
mount --rbind "$SCRATCH"/cgroup /sys/fs/cgroup
cp -a /etc "$SCRATCH"/etc
mount --bind "$SCRATCH"/etc /etc
for folder in /run /opt /srv /var/lib; do mount -t tmpfs -o mode=755 tmpfs $folder; done
mkdir -p /run/yarn-kata /run/test-runtime /etc/yarn-kata /var/lib/hadoop-yarn /var/lib/docker /srv/yarn/dfs
mkdir -p /opt/spark /opt/hadoop /etc/hadoop
touch /etc/hadoop/resolv.conf
mount --bind "$SCRATCH"/docker /var/lib/docker
mount --bind "$SCRATCH"/nm /var/lib/hadoop-yarn
mount -t tmpfs -o mode=755 tmpfs /run/yarn-kata
mount -t tmpfs -o mode=700 tmpfs /run/test-runtime
cp /bin/busybox "$SCRATCH"/rootfs/bin/busybox
for name in sh cat id ls nc sleep sysctl grep touch true; do ln -s busybox "$SCRATCH"/rootfs/bin/$name; done
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

_LEFTOVERS = """
import json, os, sys, sqlite3
found = []
def listed(folder):
    return os.listdir(folder) if os.path.isdir(folder) else []
if os.path.exists("/run/yarn-kata/state.db"):
    with sqlite3.connect("/run/yarn-kata/state.db") as db:
        if list(db.execute("SELECT 1 FROM sqlite_master WHERE name = 'containers'")):
            found += ["row " + key for key, in db.execute("SELECT key FROM containers")]
found += ["record " + name for name in listed("/run/yarn-kata/containers")]
found += ["namespace " + name for name in listed("/run/yarn-kata/userns")]
found += ["mount " + line.split()[4] for line in open("/proc/self/mountinfo") if " /run/yarn-kata/" in line]
found += ["container " + name for name in listed("/run/test-runtime")]
print(json.dumps(found))
"""
