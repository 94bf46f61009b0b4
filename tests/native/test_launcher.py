"""The launcher: which program a command line reaches, what that program is given, and what is left behind.

The real launcher, compiled with a folder of the test as RUN_DIR and with recording scripts as Python and as OCI
runtimes.
"""

from __future__ import annotations

import ctypes
import json
import os
import pty
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from yarn_kata_runtime.native.build import compile_launcher, package_version

ALWAYS_DECIDED = ("create", "run", "restore", "list")  # whatever the record says
OCI_VERBS = ["create", "start", "state", "kill", "delete", "run", "exec", "ps", "list", "pause", "resume", "update"]
OCI_VERBS += ["events", "features", "spec", "checkpoint", "restore"]
SUPERVISED = ("create", "run")
PR_SET_CHILD_SUBREAPER = 36
LeftBehind = Callable[[], set[int]]

# A program that writes its argv and environment down, whole, and then does what it is told.
RECORDER = """#!/bin/sh
cat /proc/$$/environ > "$0.calls/.$$"
cat /proc/$$/cmdline > "$0.calls/..$$"
mv "$0.calls/.$$" "$0.calls/$$.environ"
mv "$0.calls/..$$" "$0.calls/$$.argv"
"""


class Program:
    """A recording script."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls_folder = path.with_name(path.name + ".calls")
        self.does("exit 0")

    def does(self, shell: str) -> None:
        """After recording, run these lines of sh."""
        shutil.rmtree(self.calls_folder, ignore_errors=True)
        self.calls_folder.mkdir(parents=True)
        self.path.write_text(RECORDER + shell + "\n")
        self.path.chmod(0o755)

    def calls(self) -> list[list[bytes]]:
        """The arguments of each call so far, without argv[0], in the order of the calls."""
        files = sorted(self.calls_folder.glob("[0-9]*.argv"), key=lambda file: file.stat().st_mtime_ns)
        interpreter = b"/bin/sh\0" + os.fsencode(self.path) + b"\0"
        return [file.read_bytes().removeprefix(interpreter).split(b"\0")[:-1] for file in files]

    def call(self) -> list[str]:
        """The arguments of the only call."""
        (words,) = self.calls()
        return [os.fsdecode(word) for word in words]

    def environment(self) -> bytes:
        (file,) = self.calls_folder.glob("[0-9]*.environ")
        return file.read_bytes()

    def forget(self) -> None:
        for file in self.calls_folder.iterdir():
            file.unlink()


class World:
    """A launcher in a venv's package, its RUN_DIR, a Python, an OCI runtime and the one of foreign containers."""

    def __init__(self, base: Path, flags: tuple[str, ...] = ("-static", "-Os")) -> None:
        self.base = base
        self.run_dir = base / "run"
        self.venv = base / "venv"
        self.package = self.venv / "lib/python3.11/site-packages/yarn_kata_runtime"
        self.launcher = self.package / "native/launcher"
        (self.package / "native").mkdir(parents=True)
        (self.venv / "bin").mkdir()
        self.python = Program(base / "python3.11")
        self.people = Program(self.venv / "bin/python3")
        self.runtime = Program(base / "runtime")
        self.foreign = Program(base / "foreign-runtime")
        compile_launcher(self.launcher, python=str(self.python.path), run_dir=str(self.run_dir), flags=flags)
        self.reset()

    @property
    def programs(self) -> list[Program]:
        return [self.python, self.people, self.runtime, self.foreign]

    def reset(self) -> None:
        shutil.rmtree(self.run_dir, ignore_errors=True)
        (self.run_dir / "containers").mkdir(parents=True)
        (self.venv / "pyvenv.cfg").write_text("")
        for program in self.programs:
            program.does("exit 0")

    def folder(self, container: str, root: str = "") -> Path:
        return self.run_dir / "containers" / f"{container}@{fnv1a(os.fsencode(root)):016x}"

    def record(
        self, container: str, kind: str = "yarn", *, root: str = "", creator: int = 1, grace_ms: int = 0
    ) -> Path:
        folder = self.folder(container, root)
        folder.mkdir(parents=True, exist_ok=True)
        record = folder / "delegate"
        record.write_bytes(fields(kind, str(creator), str(grace_ms), root, str(self.runtime.path), "--of-class=x"))
        return record

    def record_foreign(self) -> None:
        (self.run_dir / "foreign").write_bytes(fields("foreign", "0", "0", "", str(self.foreign.path), "--of-foreign"))

    def run(self, *words: str | bytes, **options: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([self.launcher, *words], capture_output=True, **options)  # type: ignore[call-overload,no-any-return]

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([self.launcher, *words], stdout=subprocess.PIPE)

    def hot_path(self, *words: str, verb: int = 1) -> list[str]:
        return ["-IS", str(self.package / "runtime/entry.py"), str(verb), *words]


def fields(*values: str) -> bytes:
    return b"".join(os.fsencode(value) + b"\0" for value in values)


def fnv1a(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


def signal_lines(status: bytes) -> list[bytes]:
    return [line for line in status.splitlines() if line.startswith((b"SigBlk", b"SigIgn"))]


def children() -> set[int]:
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("launcher"))


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> World:
    flags = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    return World(tmp_path_factory.mktemp("sanitized"), flags)


@pytest.fixture
def world(built: World) -> World:
    built.reset()
    return built


@pytest.fixture
def left_behind() -> Iterator[LeftBehind]:
    """What the launcher leaves behind becomes this process's child: gives the pids of these."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    earlier = children()
    yield lambda: children() - earlier
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0)


class TestRouting:
    @pytest.mark.parametrize("verb", OCI_VERBS)
    def test_yarn(self, world: World, verb: str) -> None:
        world.record("c1")
        world.record_foreign()
        world.run(verb, "c1")
        if verb in (*ALWAYS_DECIDED, "start", "exec", "delete"):
            assert world.python.call() == world.hot_path(verb, "c1")
            assert world.runtime.calls() == []
        else:
            assert world.runtime.call() == ["--of-class=x", verb, "c1"]
            assert world.python.calls() == []
        assert world.foreign.calls() == []

    @pytest.mark.parametrize("verb", OCI_VERBS)
    def test_foreign(self, world: World, verb: str) -> None:
        world.record("c1", "foreign")
        world.record_foreign()
        world.run(verb, "c1")
        if verb in ALWAYS_DECIDED:
            assert world.python.call() == world.hot_path(verb, "c1")
            assert world.runtime.calls() == []
        else:
            assert world.runtime.call() == ["--of-class=x", verb, "c1"]
            assert world.python.calls() == []
        assert world.foreign.calls() == []

    @pytest.mark.parametrize("verb", OCI_VERBS)
    def test_unknown_container(self, world: World, verb: str) -> None:
        world.record_foreign()
        world.run(verb, "c1")
        if verb in ALWAYS_DECIDED:
            assert world.python.call() == world.hot_path(verb, "c1")
        else:
            assert world.foreign.call() == ["--of-foreign", verb, "c1"]
            assert world.python.calls() == []

    @pytest.mark.parametrize("verb", OCI_VERBS)
    def test_nothing_known(self, world: World, verb: str) -> None:
        world.run(verb, "c1")
        assert world.python.call() == world.hot_path(verb, "c1")

    @pytest.mark.parametrize(
        "words", [[], ["--help"], ["-h"], ["help"], ["containers", "list"], ["--debug", "slots", "list"]]
    )
    def test_people(self, world: World, words: list[str]) -> None:
        world.run(*words)
        assert world.people.call() == ["-I", "-m", "yarn_kata_runtime.cli", *words]

    def test_people_without_a_venv(self, world: World) -> None:
        (world.venv / "pyvenv.cfg").unlink()
        world.run("doctor", "--fix")
        assert world.python.call() == ["-I", "-m", "yarn_kata_runtime.cli", "doctor", "--fix"]

    @pytest.mark.parametrize("words", [["--version"], ["-v"], ["--root", "/r", "--version"]])
    def test_version(self, world: World, words: list[str]) -> None:
        printed = world.run(*words)
        assert printed.stdout.decode() == f"yarn-kata-runtime version {package_version()}\nspec: 1.0.2\n"
        assert printed.returncode == 0
        assert all(program.calls() == [] for program in world.programs)

    def test_through_a_symlink(self, world: World) -> None:
        link = world.base / "usr-bin-yarn-kata-runtime"
        link.unlink(missing_ok=True)
        link.symlink_to(world.launcher)
        subprocess.run([link, "create", "c1"], check=True)
        assert world.python.call() == world.hot_path("create", "c1")

    def test_streams_directory_and_environment_are_the_callers(self, world: World, tmp_path: Path) -> None:
        world.record("c1")
        world.runtime.does("pwd; cat; echo problem >&2; exit 3")
        environment = {"LANG": "C", "A": "", "PYTHONPATH": "/evil"}
        done = world.run("state", "c1", input=b"typed", cwd=tmp_path, env=environment)
        assert (done.stdout, done.stderr, done.returncode) == (f"{tmp_path}\ntyped".encode(), b"problem\n", 3)
        assert world.runtime.environment() == b"LANG=C\0A=\0PYTHONPATH=/evil\0"

    def test_without_an_environment(self, world: World) -> None:
        world.run("run", "-b", "B", "c1", env={})
        assert world.python.call() == world.hot_path("run", "-b", "B", "c1")
        assert world.python.environment() == b""


class TestGlobalOptions:
    @pytest.mark.parametrize(
        "options",
        [
            ["--root", "/r", "--log", "/l", "--log-format", "json"],
            ["--root=/r", "--log=/l", "--log-format=json"],
            ["-root", "/r", "-log=/l", "--debug"],
            ["--systemd-cgroup", "--root", "/r"],
            ["--rootless", "true", "--root", "/r"],
            ["--root", "/r", "--rootless"],
            ["--criu", "list", "--platform", "spec", "--cgroup-manager", "kill", "--root", "/r"],
            ["--debug-log", "run", "--debug-log-format", "text", "--root=/r"],
            ["--root", "start", "--root", "/r"],
            ["--novel", "--root", "/r", "--novelty=7", "--newer", "value", "-x"],
            ["--root", "/r", "--"],
        ],
    )
    def test_verb_and_root_are_found(self, world: World, options: list[str]) -> None:
        world.record("c1", root="/r")
        world.run(*options, "create", "c1")
        assert world.python.call() == world.hot_path(*options, "create", "c1", verb=len(options) + 1)
        world.run(*options, "state", "c1")
        assert world.runtime.call() == ["--of-class=x", *options, "state", "c1"]

    def test_containers_of_another_root_are_others(self, world: World) -> None:
        world.record("c1", root="/a")
        world.record_foreign()
        world.run("--root", "/b", "state", "c1")
        world.run("state", "c1")
        world.run("--root=", "state", "c1")
        assert len(world.foreign.calls()) == 3
        assert world.runtime.calls() == []

    def test_root_of_any_bytes(self, world: World) -> None:
        root = os.fsdecode(bytes(range(1, 256)))
        world.record("c1", root=root)
        world.run("--root", root, "state", "c1")
        assert world.runtime.call() == ["--of-class=x", "--root", root, "state", "c1"]

    @pytest.mark.parametrize("options", [["--root"], ["--log"], ["--root", "/r"], ["--novel"]])
    def test_without_a_verb(self, world: World, options: list[str]) -> None:
        world.run(*options)
        assert world.people.call() == ["-I", "-m", "yarn_kata_runtime.cli", *options]


class TestContainerId:
    @pytest.mark.parametrize(
        "words",
        [
            ["state", "c1"],
            ["delete", "--force", "c1"],
            ["delete", "-f", "c1"],
            ["kill", "--all", "c1", "KILL"],
            ["kill", "-a", "c1", "other"],
            ["ps", "--format", "other", "c1", "other"],
            ["ps", "-f", "json", "c1"],
            ["exec", "--process", "other", "--pid-file", "other", "--detach", "c1"],
            ["exec", "-t", "-u", "other", "-e", "A=b", "--cwd=/", "c1", "other"],
            ["exec", "--preserve-fds", "3", "--console-socket", "other", "c1"],
            ["update", "--resources", "-", "--memory", "other", "--pids-limit=5", "c1"],
            ["events", "--interval", "5s", "--stats", "c1"],
            ["checkpoint", "--image-path", "other", "--leave-running", "c1"],
            ["state", "--novel", "c1"],
            ["state", "--novel", "value", "c1"],
            ["state", "--", "c1"],
        ],
    )
    def test_is_found(self, world: World, words: list[str]) -> None:
        world.record("c1", "foreign")
        other = world.record("other", "foreign")
        other.write_bytes(fields("foreign", "1", "0", "", "/nowhere"))
        world.run(*words)
        assert world.runtime.call() == ["--of-class=x", *words]

    @pytest.mark.parametrize(
        "words",
        [
            ["exec", "gone", "c1"],
            ["kill", "gone", "c1"],
            ["state", "--pid-file", "c1"],
            ["state"],
            ["state", "--force"],
            ["exec", "--flag=c1"],
        ],
    )
    def test_later_words_are_no_id(self, world: World, words: list[str]) -> None:
        world.record("c1", "foreign")
        world.record_foreign()
        world.run(*words)
        assert world.foreign.call() == ["--of-foreign", *words]
        assert world.runtime.calls() == []

    @pytest.mark.parametrize("hostile", ["../c1", "containers/../../c1", "/c1", ".", "..", "", "c" * 300, "c" * 9000])
    def test_hostile_ones_have_no_record(self, world: World, hostile: str) -> None:
        for place in (world.run_dir, world.run_dir / "containers"):
            for name in ("c1", ".", "..", ""):
                folder = place / f"{name}@{fnv1a(b''):016x}"
                folder.mkdir(exist_ok=True)
                (folder / "delegate").write_bytes(fields("foreign", "1", "0", "", str(world.runtime.path)))
        world.record_foreign()
        world.run("state", hostile)
        assert world.foreign.call() == ["--of-foreign", "state", hostile]
        assert world.runtime.calls() == []


class TestRecords:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\0",
            b"yarn",
            b"\0\0\0\0",
            fields("yarn", "1", "0", ""),
            fields("yarn", "1", "0", "", "/bin/true")[:-1],
            fields("yarn", "1", "0", "", "relative"),
            fields("yarn", "1", "0", "", ""),
            fields("other", "1", "0", "", "/bin/true"),
            fields("yarn", "", "0", "", "/bin/true"),
            fields("yarn", "-1", "0", "", "/bin/true"),
            fields("yarn", "1", "1s", "", "/bin/true"),
            fields("yarn", "1", "99999999999999999999", "", "/bin/true"),
            fields("yarn", "1", "0", "", "/bin/true", *["x"] * 1000),
            fields("yarn", "1", "0", "", "/bin/true", "x" * 70000),
        ],
    )
    def test_malformed_means_no_decision_here(self, world: World, content: bytes) -> None:
        world.record("c1").write_bytes(content)
        world.record_foreign()
        assert world.run("state", "c1").returncode == 0
        assert world.python.call() == world.hot_path("state", "c1")
        (world.run_dir / "foreign").write_bytes(content)
        world.python.forget()
        assert world.run("state", "gone").returncode == 0
        assert world.python.call() == world.hot_path("state", "gone")
        assert world.foreign.calls() == []

    @pytest.mark.parametrize("kind", ["symlink", "fifo", "folder"])
    def test_not_a_plain_file(self, world: World, kind: str, tmp_path: Path) -> None:
        record = world.record("c1")
        content = record.read_bytes()
        record.unlink()
        if kind == "symlink":
            (tmp_path / "real").write_bytes(content)
            record.symlink_to(tmp_path / "real")
        elif kind == "fifo":
            os.mkfifo(record)
        else:
            record.mkdir()
        world.record_foreign()
        world.run("state", "c1")
        assert world.python.call() == world.hot_path("state", "c1")

    def test_many_class_arguments(self, world: World) -> None:
        arguments = [f"--argument={n}" for n in range(200)]
        world.record("c1").write_bytes(fields("yarn", "1", "0", "", str(world.runtime.path), *arguments, ""))
        world.run("pause", "c1")
        assert world.runtime.call() == [*arguments, "", "pause", "c1"]


class TestForeignDelete:
    def test_removes_the_record(self, world: World) -> None:
        world.record("c1", "foreign", root="/r")
        world.record_foreign()
        assert world.run("--root", "/r", "delete", "c1").returncode == 0
        assert not world.folder("c1", "/r").exists()
        assert world.run("--root", "/r", "delete", "--force", "c1").returncode == 0
        assert world.runtime.call() == ["--of-class=x", "--root", "/r", "delete", "c1"]
        assert world.foreign.call() == ["--of-foreign", "--root", "/r", "delete", "--force", "c1"]

    def test_that_fails_keeps_the_record(self, world: World) -> None:
        record = world.record("c1", "foreign")
        world.runtime.does("echo container is not stopped >&2; exit 1")
        done = world.run("delete", "c1")
        assert (done.returncode, done.stderr) == (1, b"container is not stopped\n")
        assert record.exists()

    def test_of_an_unknown_container_leaves_the_default_delegate(self, world: World) -> None:
        world.record_foreign()
        world.run("delete", "gone")
        assert world.foreign.call() == ["--of-foreign", "delete", "gone"]
        assert (world.run_dir / "foreign").exists()


def wait_for_ends(left_behind: LeftBehind) -> None:
    for pid in left_behind():
        os.waitpid(pid, 0)


class TestKill:
    @pytest.mark.parametrize("sent", [[], ["15"], ["TERM"], ["SIGTERM"], ["sigterm"], ["--all"]])
    def test_terminate_escalates(self, world: World, left_behind: LeftBehind, sent: list[str]) -> None:
        world.record("c1", grace_ms=50, root="/r")
        world.runtime.does(f'case "$*" in *"kill c1 9") touch {world.base}/killed;; *) exit 4;; esac')
        done = world.run("--root", "/r", "--debug", "kill", "c1", *sent)
        assert done.returncode == 4
        wait_for_ends(left_behind)
        prefix = [b"--of-class=x", b"--root", b"/r", b"--debug", b"kill", b"c1"]
        assert world.runtime.calls() == [[*prefix, *map(os.fsencode, sent)], [*prefix, b"9"]]

    @pytest.mark.parametrize(
        "words", [["c1", "9"], ["c1", "KILL"], ["c1", "0"], ["--all", "c1", "HUP"], ["--pid", "7", "c1", "USR1"]]
    )
    def test_other_signals_do_not(self, world: World, left_behind: LeftBehind, words: list[str]) -> None:
        world.record("c1", grace_ms=10)
        world.run("kill", *words)
        assert left_behind() == set()
        assert world.runtime.call() == ["--of-class=x", "kill", *words]

    @pytest.mark.parametrize(("kind", "grace_ms"), [("yarn", 0), ("foreign", 10)])
    def test_without_grace_or_for_others_neither(
        self, world: World, left_behind: LeftBehind, kind: str, grace_ms: int
    ) -> None:
        world.record("c1", kind, grace_ms=grace_ms)
        world.run("kill", "c1", "15")
        assert left_behind() == set()
        assert world.runtime.call() == ["--of-class=x", "kill", "c1", "15"]

    def test_not_once_the_container_is_deleted(self, world: World, left_behind: LeftBehind) -> None:
        record = world.record("c1", grace_ms=50)
        world.runtime.does(f"rm {record}; rmdir {record.parent}; mkdir {record.parent}; echo new > {record}")
        world.run("kill", "c1")
        wait_for_ends(left_behind)
        assert world.runtime.call() == ["--of-class=x", "kill", "c1"]

    def test_timer_holds_nothing_of_the_caller(self, world: World, left_behind: LeftBehind) -> None:
        record = world.record("c1", grace_ms=900_000)
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        world.run("kill", "c1", close_fds=False)  # returns when nobody holds its standard streams
        os.close(writer)
        (timer,) = left_behind()
        wait_for(lambda: len(os.listdir(f"/proc/{timer}/fd")) == 4, "the timer to close what it inherited")
        held = {int(fd): os.readlink(f"/proc/{timer}/fd/{fd}") for fd in os.listdir(f"/proc/{timer}/fd")}
        session = os.getsid(timer)
        os.kill(timer, signal.SIGTERM)
        os.waitpid(timer, 0)
        assert held == {0: "/dev/null", 1: "/dev/null", 2: "/dev/null", 3: str(record)}
        assert session == timer
        assert os.read(reader, 1) == b""
        os.close(reader)


class TestSupervision:
    @pytest.mark.parametrize("verb", SUPERVISED)
    @pytest.mark.parametrize("code", [0, 1, 7, 255])
    def test_exit_codes(self, world: World, verb: str, code: int) -> None:
        world.python.does(f"exit {code}")
        assert world.run(verb, "c1").returncode == code

    @pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
    def test_ends_by_the_same_signal(self, world: World, ending: signal.Signals) -> None:
        world.python.does(f"kill -{ending.value} $$")
        assert world.run("create", "c1").returncode == -ending

    @pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "TERM", "WINCH"])
    def test_signals_are_passed_on(self, world: World, name: str) -> None:
        world.python.does(f"trap 'echo got {name}; exit 5' {name}\necho ready\nwhile :; do sleep 0.01; done")
        launcher = world.start("run", "c1")
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == b"ready\n"
        launcher.send_signal(getattr(signal, f"SIG{name}"))
        assert launcher.communicate()[0] == f"got {name}\n".encode()
        assert launcher.returncode == 5

    def test_a_terminals_interrupt_comes_once(self, world: World) -> None:
        log = world.base / "signals"
        log.unlink(missing_ok=True)
        world.python.does(
            f"trap 'echo int >> {log}' INT\ntrap 'echo usr1 >> {log}; exit 5' USR1\n"
            "echo ready\nwhile :; do sleep 0.01; done"
        )
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(world.launcher, ["yarn-kata-runtime", "run", "c1"])
        assert os.read(terminal, 100).startswith(b"ready")
        os.write(terminal, b"\x03")
        wait_for(log.exists, "the interrupt")
        os.kill(pid, signal.SIGUSR1)  # comes after any second interrupt
        status = os.waitpid(pid, 0)[1]
        os.close(terminal)
        assert os.waitstatus_to_exitcode(status) == 5
        assert log.read_text() == "int\nusr1\n"

    def test_mask_and_dispositions_are_the_callers(self, world: World) -> None:
        def prepare() -> None:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR2})

        world.record("c1")
        for program in (world.runtime, world.python):  # not in sh, which clears the mask
            program.path.write_text(
                "#!/usr/bin/python3 -IS\nprint(open('/proc/self/status').read())\nraise SystemExit(6)\n"
            )
        direct = world.run("state", "c1", preexec_fn=prepare)
        supervised = world.run("create", "c1", preexec_fn=prepare)
        assert signal_lines(supervised.stdout) == signal_lines(direct.stdout)
        assert b"SigBlk:\t%016x" % (1 << signal.SIGUSR2 - 1) in signal_lines(supervised.stdout)
        assert supervised.returncode == direct.returncode == 6

    @pytest.mark.usefixtures("left_behind")
    def test_dies_with_the_launcher(self, world: World) -> None:
        world.python.does("echo $$\nexec sleep 1000")
        launcher = world.start("create", "c1")
        assert launcher.stdout is not None
        child = int(launcher.stdout.readline())
        launcher.kill()
        launcher.wait()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        launcher.stdout.close()


class TestAbandon:
    """A create or run that failed, whose container is still on record as this launcher's."""

    def fails(self, world: World, container: str, code: int, creator: str = "$PPID") -> None:
        """Have the hot path's create and run note the container and then end with code."""
        folder = world.folder(container)
        world.python.does(
            f'case "$*" in *" delete --force "*) echo out; echo err >&2; rm -r {folder}; exit 9;; esac\n'
            f"mkdir -p {folder}\n"
            rf"printf 'yarn\000%d\0000\000\000/bin/true\000' {creator} > {folder}/delegate"
            f"\nexit {code}"
        )

    @pytest.mark.parametrize(
        ("words", "code"),
        [
            (["create", "--bundle", "B", "--pid-file", "P", "c1"], 1),
            (["run", "-b", "B", "c1"], 1),
            (["run", "-b", "B", "c1"], 0),
            (["run", "--detach=false", "c1"], 0),
            (["run", "--bundle", "--detach", "c1"], 0),
            (["run", "--detach", "c1"], 1),
            (["run", "-d", "c1"], 137),
        ],
    )
    def test_gives_back(self, world: World, words: list[str], code: int) -> None:
        self.fails(world, "c1", code)
        done = world.run("--log=/dev/null", "--debug", *words)
        assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")
        assert [list(map(os.fsdecode, call)) for call in world.python.calls()] == [
            world.hot_path("--log=/dev/null", "--debug", *words, verb=3),
            world.hot_path("--log=/dev/null", "--debug", "delete", "--force", "c1", verb=3),
        ]

    @pytest.mark.parametrize(
        "words",
        [
            ["create", "c1"],
            ["run", "-d", "c1"],
            ["run", "--detach", "c1"],
            ["run", "--detach=true", "c1"],
            ["run", "-td", "c1"],
            ["run", "c1", "-detach"],
        ],
    )
    def test_not_what_lives(self, world: World, words: list[str]) -> None:
        self.fails(world, "c1", 0)
        assert world.run(*words).returncode == 0
        assert len(world.python.calls()) == 1
        assert world.folder("c1").exists()

    def test_a_killed_create(self, world: World) -> None:
        self.fails(world, "c1", 0)
        world.python.path.write_text(world.python.path.read_text().replace("exit 0", "kill -9 $$"))
        assert world.run("create", "c1").returncode == -signal.SIGKILL
        assert not world.folder("c1").exists()

    def test_not_what_another_created(self, world: World) -> None:
        self.fails(world, "c1", 1, creator="4711")
        assert world.run("create", "c1").returncode == 1
        assert len(world.python.calls()) == 1

    def test_not_an_earlier_container_of_the_same_pid(self, world: World) -> None:
        world.python.does("exit 1")
        record = world.record("c1")

        def create_with_this_pid() -> None:
            record.write_bytes(fields("yarn", str(os.getpid()), "0", "", "/bin/true"))

        assert world.run("create", "c1", preexec_fn=create_with_this_pid).returncode == 1
        assert len(world.python.calls()) == 1

    def test_not_what_the_hot_path_gave_back(self, world: World) -> None:
        world.python.does("exit 1")
        assert world.run("create", "c1").returncode == 1
        assert len(world.python.calls()) == 1


class TestErrors:
    MISSING = '/nowhere/run"c\\'

    def message(self) -> str:
        return f"cannot execute {self.MISSING}: No such file or directory; install it there again"

    def test_missing_delegate(self, world: World, tmp_path: Path) -> None:
        world.record("c1").write_bytes(fields("yarn", "1", "0", "", self.MISSING))
        log = tmp_path / "log.json"
        log.write_text("earlier\n")
        done = world.run("--log", str(log), "--log-format", "json", "state", "c1")
        assert (done.returncode, done.stderr.decode()) == (1, f"yarn-kata-runtime: {self.message()}\n")
        earlier, line = log.read_text().splitlines()
        entry = json.loads(line)
        assert (earlier, entry["level"], entry["msg"]) == ("earlier", "error", self.message())
        assert time.strptime(entry["time"], "%Y-%m-%dT%H:%M:%SZ")

    def test_text_log(self, world: World, tmp_path: Path) -> None:
        world.record("c1").write_bytes(fields("yarn", "1", "0", "", self.MISSING))
        world.run(f"--log={tmp_path}/log", "state", "c1")
        escaped = self.message().replace("\\", "\\\\").replace('"', '\\"')
        assert (tmp_path / "log").read_text().endswith(f' level=error msg="{escaped}"\n')

    def test_missing_python(self, world: World, tmp_path: Path) -> None:
        world.python.path.chmod(0o644)
        done = world.run("--log", f"{tmp_path}/log", "create", "c1")
        text = f"cannot execute {world.python.path}: Permission denied; install it there again"
        assert (done.returncode, done.stderr.decode()) == (1, f"yarn-kata-runtime: {text}\n")
        assert text in (tmp_path / "log").read_text()


TELLING_WORDS = st.sampled_from(
    [*OCI_VERBS, "--root", "--root=/r", "--log-format", "--debug", "-", "--", "-f", "--all", "c1", "--pid-file", "15"]
).map(os.fsencode)
WORDS = st.lists(TELLING_WORDS | st.binary(max_size=40).map(lambda word: word.replace(b"\0", b"")), max_size=12)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(WORDS, st.booleans())
@example([b"state", b"\xff\n\x80", b""], True)
def test_words_are_handed_on_byte_for_byte(world: World, words: list[bytes], foreign: bool) -> None:
    (world.run_dir / "foreign").unlink(missing_ok=True)
    if foreign:
        world.record_foreign()
    for program in world.programs:
        program.forget()
    done = world.run(*words)
    calls = [call for program in world.programs for call in program.calls()]
    if done.stdout:
        assert done.stdout.startswith(b"yarn-kata-runtime version") and calls == []
    else:
        (call,) = calls
        assert call[len(call) - len(words) :] == words


RECORDS = st.binary(max_size=200) | st.lists(
    st.sampled_from(["yarn", "foreign", "1", "0", "50", "/bin/true", "", "-1", "x" * 33000]), max_size=300
).map(lambda values: fields(*values))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(words=WORDS, record=RECORDS, foreign=RECORDS)
def test_no_memory_error(sanitized: World, words: list[bytes], record: bytes, foreign: bytes) -> None:
    """Every word and record, malformed or not, under the address and undefined-behaviour sanitizers."""
    sanitized.record("c1").write_bytes(record)
    (sanitized.run_dir / "foreign").write_bytes(foreign)
    done = sanitized.run(*words)
    assert b"Sanitizer" not in done.stderr and b"runtime error" not in done.stderr
    assert done.returncode in (0, 1)
