"""The init of sandboxes, as a sandbox starts it: root with two capabilities, in a network namespace of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yarn_kata_runtime.native.build import compile_init

FIRST, LAST, UID, GID = "20000", "20127", "54321", "54322"
TWO_CAPABILITIES = ["setpriv", "--bounding-set=-all,+setuid,+setgid", "--inh-caps=-all"]


@pytest.fixture(scope="module")
def init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("init") / "init"
    compile_init(path)
    return path


def run(
    init: Path,
    *program: str,
    first: str = FIRST,
    last: str = LAST,
    uid: str = UID,
    gid: str = GID,
    groups: str = "-",
    cwd: str = "/",
    wrapper: list[str] | None = None,
) -> subprocess.CompletedProcess[str]:
    setup = ["unshare", "--net", "env", "-i", "PATH=/usr/bin:/bin", *(TWO_CAPABILITIES if wrapper is None else wrapper)]
    words = [first, last, uid, gid, groups, cwd, "--", *program]
    return subprocess.run([*setup, str(init), *words], capture_output=True, text=True)


def status_of(init: Path, wrapper: list[str] | None = None) -> dict[str, list[str]]:
    done = run(init, "cat", "/proc/self/status", groups="7,54323", wrapper=wrapper)
    assert (done.returncode, done.stderr) == (0, "")
    return {name: value.split() for name, _, value in (line.partition(":") for line in done.stdout.splitlines())}


def test_port_range(init: Path) -> None:
    assert run(init, "cat", "/proc/sys/net/ipv4/ip_local_port_range").stdout.split() == [FIRST, LAST]
    assert run(init, "cat", "/proc/sys/net/ipv4/tcp_tw_reuse").stdout == "1\n"


def test_a_free_port_is_in_the_range(init: Path) -> None:
    script = "import socket; s = socket.socket(); s.bind(('', 0)); print(s.getsockname()[1])"
    assert int(FIRST) <= int(run(init, "python3", "-I", "-c", script).stdout) <= int(LAST)


@pytest.mark.parametrize(
    "wrapper", [TWO_CAPABILITIES, [], ["setpriv", "--inh-caps=+chown,+setuid", "--ambient-caps=+chown"]]
)
def test_nothing_of_root_is_left(init: Path, wrapper: list[str]) -> None:
    status = status_of(init, wrapper)
    assert status["Uid"] == [UID] * 4
    assert status["Gid"] == [GID] * 4
    assert status["Groups"] == ["7", "54323"]
    assert status["NoNewPrivs"] == ["1"]
    for held in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert status[held] == ["0" * 16]


def test_no_groups(init: Path) -> None:
    assert run(init, "id", "-G").stdout.split() == [GID]


def test_refuses_to_stay_root(init: Path) -> None:
    done = run(init, "echo", "ran", uid="0")
    assert (done.returncode, done.stdout) == (126, "")
    assert done.stderr.startswith("yarn-kata-init: kept root")


def test_drops_capabilities_that_would_outlive_the_change_of_user(init: Path) -> None:
    done = run(init, "cat", "/proc/self/status", wrapper=["setpriv", "--securebits=+no_setuid_fixup"])
    assert done.returncode == 0
    assert "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n" in done.stdout


def test_without_the_right_to_drop(init: Path) -> None:
    done = run(init, "echo", "ran", wrapper=["setpriv", "--bounding-set=-all", "--inh-caps=-all"])
    assert (done.returncode, done.stdout) == (126, "")
    assert done.stderr == "yarn-kata-init: cannot set the groups of the container: Operation not permitted\n"


def test_words_environment_and_exit_code_are_the_programs(init: Path) -> None:
    done = run(init, "sh", "-c", 'echo "$0|$1|$2|$PATH"; exit 9', "a b", "", "--")
    assert (done.returncode, done.stdout) == (9, "a b||--|/usr/bin:/bin\n")


def test_working_folder_is_entered_as_the_user(init: Path, tmp_path: Path) -> None:
    assert run(init, "pwd", cwd="/usr").stdout == "/usr\n"
    tmp_path.chmod(0o700)
    done = run(init, "pwd", cwd=str(tmp_path))
    assert (done.returncode, done.stderr) == (126, f"yarn-kata-init: cannot enter {tmp_path}: Permission denied\n")


@pytest.mark.parametrize(
    ("program", "code", "reason"),
    [
        ("no-such-program", 127, "No such file or directory"),
        ("/no/such/program", 127, "No such file or directory"),
        ("/etc/passwd", 126, "Permission denied"),
        ("/usr", 126, "Permission denied"),
    ],
)
def test_what_cannot_be_executed(init: Path, program: str, code: int, reason: str) -> None:
    done = run(init, program)
    assert (done.returncode, done.stderr) == (code, f"yarn-kata-init: cannot execute {program}: {reason}\n")


@pytest.mark.parametrize(
    "wrong",
    [
        {"first": "x"},
        {"first": ""},
        {"first": "-1"},
        {"last": "20127 1"},
        {"uid": "4294967296"},
        {"uid": "+1"},
        {"uid": "root"},
        {"gid": " 7"},
        {"gid": "99999999999999999999"},
        {"groups": "1,x"},
        {"groups": "1,-2"},
        {"groups": ",".join(map(str, range(2000)))},
        {"first": "30000", "last": "20000"},
        {"last": "70000"},
    ],
)
def test_bad_numbers(init: Path, wrong: dict[str, str]) -> None:
    done = run(init, "echo", "ran", **wrong)  # type: ignore[arg-type]
    assert (done.returncode, done.stdout) == (126, "")
    assert done.stderr.startswith("yarn-kata-init: ")


@pytest.mark.parametrize("words", [[], ["1"] * 6, [FIRST, LAST, UID, GID, "-", "/", "--"], ["1"] * 9])
def test_usage(init: Path, words: list[str]) -> None:
    done = subprocess.run(["unshare", "--net", str(init), *words], capture_output=True, text=True)
    assert done.returncode == 126
    assert done.stderr.startswith("yarn-kata-init: usage: FIRST LAST UID GID GROUPS CWD -- PROGRAM")


ARBITRARY = st.binary(max_size=30).map(lambda word: word.replace(b"\0", b""))
NUMBERS = st.sampled_from(["1", "20000", "54321", "-", ",", "1,2", "0x1", "", "9" * 30, "1" + ",1" * 1100])
WORDS = st.lists(NUMBERS.map(os.fsencode) | ARBITRARY, max_size=6)


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sanitized") / "init"
    compile_init(path, flags=("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"))
    return path


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(WORDS)
def test_no_memory_error(sanitized: Path, words: list[bytes]) -> None:
    """Words of any form, under the address and undefined-behaviour sanitizers; nothing is executed."""
    command = [b"unshare", b"--net", os.fsencode(sanitized), *words, b"--", b"/nowhere"]
    done = subprocess.run(command, capture_output=True)
    assert done.returncode in (126, 127)
    assert b"Sanitizer" not in done.stderr and b"runtime error" not in done.stderr
