"""`exec`: whatever user and privileges the engine names, inside it is the slot."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.harness import CONFIG, RUNC, Bundle, PrivateNode, until
from tests.runtime.refusals import Refusals

CAPABILITIES = ["CAP_SYS_ADMIN", "CAP_NET_ADMIN"]
SHOW = ["/bin/busybox", "sh", "-c", "id -u; id -g; id -G; grep -e ^Cap -e ^NoNewPrivs /proc/self/status"]


def _status(output: str) -> dict[str, str]:
    uid, gid, groups, *status = output.splitlines()
    return {"uid": uid, "gid": gid, "groups": groups, **dict(line.split(":\t") for line in status)}


def _is_slots(output: str) -> bool:
    """Say whether the process that printed its status is the slot's, without privileges to use."""
    status = _status(output)
    ids = [status[name] for name in ("uid", "gid", "groups")]
    capabilities = [status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")]
    return ids == ["6001"] * 3 and capabilities == ["0" * 16] * 4 and status["NoNewPrivs"] == "1"


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--user", "0"],
        ["--user=0:0"],
        ["-u", "0"],
        ["--user", "0", "--user", "0"],
        ["--user=0", "--tty=false", "-u=0", "--cwd", "/"],
        ["--additional-gids", "0", "-g", "5000"],
        ["--cap", "CAP_SYS_ADMIN", "--cap=CAP_NET_ADMIN", "-c", "CAP_SYS_PTRACE"],
    ],
    ids=" ".join,
)
def test_on_the_command_line(node: PrivateNode, options: list[str]) -> None:
    bundle = node.yarn_bundle().launch()
    assert _is_slots(node.runtime("exec", *options, bundle.id, *SHOW).stdout)


def _process(args: list[str], **changes: Any) -> dict[str, Any]:
    """Return a process as containerd's shim writes it for docker exec --privileged --user root."""
    every_set = ("bounding", "effective", "inheritable", "permitted", "ambient")
    return {
        "user": {"uid": 0, "gid": 0, "additionalGids": [0, 10]},
        "args": args,
        "env": ["PATH=/bin", "GIVEN=yes"],
        "cwd": "/",
        "capabilities": {name: CAPABILITIES for name in every_set},
        **changes,
    }


def _execute(bundle: Bundle, process: dict[str, Any]) -> str:
    file = bundle.path / "process.json"
    file.write_text(json.dumps(process))
    return bundle.node.runtime("exec", "--process", str(file), bundle.id).stdout


@pytest.mark.parametrize(
    "user", [{"uid": 5001, "gid": 5001}, {"uid": 0, "gid": 0}, {}], ids=["original", "root", "none"]
)
def test_by_a_process_file(node: PrivateNode, user: dict[str, int]) -> None:
    bundle = node.yarn_bundle().launch()
    assert _is_slots(_execute(bundle, _process(SHOW, user=user)))
    assert _execute(bundle, _process(["/bin/busybox", "sh", "-c", "echo $GIVEN; pwd"])) == "yes\n/\n"


def test_by_a_process_file_joined_to_its_option(node: PrivateNode) -> None:
    bundle = node.yarn_bundle().launch()
    file = bundle.path / "process.json"
    file.write_text(json.dumps(_process(SHOW)))
    assert _is_slots(node.runtime("exec", f"--process={file}", bundle.id).stdout)
    file.write_text(json.dumps(_process(SHOW)))
    assert _is_slots(node.runtime("exec", "-p", str(file), bundle.id).stdout)


def test_of_two_process_files_the_last_counts(node: PrivateNode) -> None:
    bundle = node.yarn_bundle().launch()
    files = [bundle.path / name for name in ("first.json", "last.json")]
    for file in files:
        file.write_text(json.dumps(_process(SHOW)))
    words = ["--process", str(files[0]), f"--process={files[1]}", bundle.id]
    assert _is_slots(node.runtime("exec", *words).stdout)


def test_detached_with_a_pid_file(node: PrivateNode) -> None:
    bundle = node.yarn_bundle().launch()
    file, pid_file = bundle.path / "process.json", bundle.path / "exec.pid"
    file.write_text(json.dumps(_process(["/bin/busybox", "sleep", "1000"])))
    node.runtime("exec", "--process", str(file), "--detach", "--pid-file", str(pid_file), bundle.id)
    status = Path(f"/proc/{pid_file.read_text()}/status").read_text()
    assert "\nUid:\t6001\t6001\t6001\t6001\n" in status


def test_streams_and_exit_codes(node: PrivateNode) -> None:
    bundle = node.yarn_bundle().launch()
    done = bundle.inside("sh", "-c", "cat; echo to stderr >&2; exit 7", check=False, text="given\n")
    assert (done.returncode, done.stdout, done.stderr) == (7, "given\n", "to stderr\n")


@pytest.mark.parametrize("command", ["/no/such/command", "no-such-command", "/etc/passwd"])
def test_exit_codes_of_what_cannot_run_are_those_of_the_runtime_below(node: PrivateNode, command: str) -> None:
    yarn, foreign = node.yarn_bundle().launch(), node.foreign_bundle().launch()
    bare = node.run([RUNC, "--root", node.engine()[2], "exec", foreign.id, command], check=False).returncode
    assert yarn.inside(command, check=False).returncode == bare
    assert bare not in (0, 1)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"args": ', b"\xff", b"{" * 100_000],
    ids=["empty", "list", "truncated", "not-utf-8", "deep"],
)
def test_a_process_file_that_is_none(node: PrivateNode, refused: Refusals, content: bytes) -> None:
    bundle = node.yarn_bundle().launch()
    file = bundle.path / "process.json"
    file.write_bytes(content)
    refused.call("exec", "--process", str(file), bundle.id, says=[f"the process file {file} cannot be used"])
    assert file.read_bytes() == content


def test_a_process_file_that_is_not_there_or_no_file(node: PrivateNode, refused: Refusals) -> None:
    bundle = node.yarn_bundle().launch()
    file = bundle.path / "process.json"
    refused.call("exec", "--process", str(file), bundle.id, says=["No such file"])
    os.mkfifo(file)
    refused.call("exec", "--process", str(file), bundle.id, says=["no regular file"])


def test_a_class_that_is_gone(node: PrivateNode, refused: Refusals) -> None:
    bundle = node.yarn_bundle().launch()
    node.configure(CONFIG.replace("classes.plain", "classes.other").replace('class = "plain"', 'class = "other"'))
    file = bundle.path / "process.json"
    file.write_text(json.dumps(_process(SHOW)))
    refused.call("exec", "--process", str(file), bundle.id, says=["class 'plain'", "config.toml"])
    assert bundle.inside("id", "-u").stdout == "6001\n"


def test_a_foreign_containers_exec_is_its_callers(node: PrivateNode) -> None:
    bundle = node.foreign_bundle().launch()
    assert _status(bundle.inside(*SHOW).stdout)["uid"] == "0"
    assert _status(_execute(bundle, _process(SHOW, user={"uid": 77, "gid": 78})))["uid"] == "77"


def test_an_exec_ends_with_its_container(node: PrivateNode) -> None:
    bundle = node.yarn_bundle().launch()
    running = node.begin(node.engine("exec", bundle.id, "sh", "-c", "echo ready; sleep 1000"))
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    node.runtime("kill", bundle.id, "KILL")
    until(lambda: running.poll() is not None, "the end of exec")
    assert running.returncode == 137
    running.communicate()
