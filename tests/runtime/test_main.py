"""The OCI command line from end to end: lives of containers, and which runtime each verb reaches."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.harness import ALICE, CONFIG, HADOOP, NM, RUNC, Bundle, PrivateNode, until
from tests.runtime.runtimes import RecordingRuntime

MAKERS: dict[str, Callable[[PrivateNode], Bundle]] = {
    "yarn": lambda node: node.yarn_bundle(),
    "foreign": lambda node: node.foreign_bundle(),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_life(node: PrivateNode, make: Callable[[PrivateNode], Bundle]) -> None:
    bundle = make(node)
    bundle.create()
    assert bundle.state()["status"] == "created"
    assert bundle.state()["pid"] == bundle.pid
    bundle.start()
    assert bundle.state()["status"] == "running"
    assert bundle.inside("cat", text="in and out\n").stdout == "in and out\n"
    node.runtime("kill", bundle.id, "KILL")
    bundle.wait_stopped()
    bundle.delete()
    assert bundle.delete("--force").returncode == 0
    assert bundle.delete(check=False).returncode == 1
    assert node.runtime("state", bundle.id, check=False).returncode == 1
    assert node.leftovers() == []


def test_a_foreign_container_passes_unchanged(node: PrivateNode) -> None:
    bundle = node.foreign_bundle()
    before = bundle.config.read_bytes()
    bundle.launch()
    assert bundle.inside("id", "-u").stdout == "0\n"
    bundle.delete("--force")
    assert bundle.config.read_bytes() == before
    assert node.listed("containers") == []


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_verbs_reach_the_runtime_that_the_container_was_made_with(
    node: PrivateNode, make: Callable[[PrivateNode], Bundle]
) -> None:
    first, second = RecordingRuntime(node, "first"), RecordingRuntime(node, "second")
    node.configure(first.config())
    bundle = make(node)
    bundle.create()
    node.configure(second.config())
    bundle.start()
    for words in (["ps"], ["pause"], ["resume"], ["update", "--pids-limit", "100"], ["events", "--stats"]):
        node.runtime(words[0], *words[1:], bundle.id)
    bundle.inside("true")
    node.runtime("kill", bundle.id, "9")
    bundle.wait_stopped()
    bundle.delete()
    verbs = [verb for verb in first.verbs() if verb != "state"]
    assert verbs == ["create", "start", "ps", "pause", "resume", "update", "events", "exec", "kill", "delete"]
    assert second.calls() == []


@pytest.mark.parametrize("broken", ["", "not TOML"], ids=["no-config", "invalid-config"])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_living_containers_end_without_a_configuration(
    node: PrivateNode, make: Callable[[PrivateNode], Bundle], broken: str
) -> None:
    bundle = make(node).launch()
    if broken:
        node.configure(broken)
    else:
        node.path("/etc/yarn-kata/config.toml").unlink()
    assert bundle.state()["status"] == "running"
    node.runtime("kill", bundle.id, "KILL")
    bundle.wait_stopped()
    bundle.delete()
    assert bundle.delete("--force").returncode == 0
    assert node.leftovers() == []


def test_options_joined_to_their_values(node: PrivateNode) -> None:
    bundle = node.yarn_bundle()
    words = [f"--bundle={bundle.path}", f"--pid-file={bundle.pid_file}", "--no-pivot=false", bundle.id]
    argv = node.engine("create", *words)
    joined = [argv[0], f"--root={argv[2]}", f"--log={argv[4]}", "--log-format=json", *argv[7:]]
    node.run(joined)
    assert bundle.row()["container"] == bundle.container
    bundle.attach("10.88.0.7")
    bundle.start()
    assert node.routes() == {bundle.row()["ports"][0]: "10.88.0.7"}
    node.runtime("delete", "--force=true", bundle.id)
    assert node.leftovers() == []


def test_the_bundle_is_the_working_folder_by_default(node: PrivateNode) -> None:
    bundle = node.yarn_bundle()
    node.runtime("create", "--pid-file", str(bundle.pid_file), bundle.id, cwd=str(bundle.path))
    bundle.start()
    assert bundle.state()["bundle"] == str(bundle.path)


def _ended(node: PrivateNode, command: list[str], runtime: list[str], make: Callable[..., Bundle]) -> tuple[int, str]:
    """Return the exit code and standard output of a container that `runtime run` runs in the foreground."""
    bundle = make(command=command)
    done = node.run([*runtime, "run", "--bundle", str(bundle.path), bundle.id], check=False, text="given\n")
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    "command",
    [
        ["/bin/busybox", "true"],
        ["/bin/busybox", "sh", "-c", "cat; exit 7"],
        ["/bin/busybox", "sh", "-c", "kill -9 $$"],
        ["/no/such/command"],
        ["/etc/passwd"],
    ],
    ids=["success", "7-and-output", "killed", "missing", "not-executable"],
)
def test_exit_codes_and_output_are_those_of_the_runtime_below(node: PrivateNode, command: list[str]) -> None:
    bare = _ended(node, command, [RUNC, "--root", "/run/bare"], node.foreign_bundle)
    ours = _ended(node, command, node.engine(), node.foreign_bundle)
    assert ours == bare


def test_a_yarn_container_in_the_foreground(node: PrivateNode) -> None:
    script = ["/bin/busybox", "sh", "-c", "cat; echo to stderr >&2; exit 7"]
    bundle = node.yarn_bundle(command=script)
    done = bundle.create("run", check=False, text="to stdout\n")
    assert (done.returncode, done.stdout, done.stderr) == (7, "to stdout\n", "to stderr\n")
    assert node.leftovers() == []  # nobody calls delete after `run`


@pytest.mark.parametrize("code", [126, 127])
def test_exit_codes_of_a_yarn_container_are_its_own(node: PrivateNode, code: int) -> None:
    bundle = node.yarn_bundle(command=["/bin/busybox", "sh", "-c", f"exit {code}"])
    assert bundle.create("run", check=False).returncode == code


def test_run_detached(node: PrivateNode) -> None:
    bundle = node.yarn_bundle()
    bundle.create("run", "--detach")
    assert bundle.state()["status"] == "running"
    assert bundle.row()["slot"] == "slot1"
    assert bundle.row()["ports"] is None  # no engine could attach a network
    bundle.delete("--force")
    assert node.leftovers() == []


def test_a_signal_to_run_reaches_the_container(node: PrivateNode) -> None:
    script = ["/bin/busybox", "sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done"]
    bundle = node.yarn_bundle(command=script)
    running = node.begin(node.engine("run", *bundle.words()), cwd=str(bundle.path))
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    running.terminate()
    assert running.wait(20) == 5
    running.communicate()
    assert node.leftovers() == []


def test_a_list_has_the_containers_of_all_runtimes(node: PrivateNode) -> None:
    yarn, foreign = node.yarn_bundle().launch(), node.foreign_bundle().launch()
    listed = json.loads(node.runtime("list", "--format", "json").stdout)
    assert {one["id"] for one in listed} == {yarn.id, foreign.id}


def test_a_container_that_ignores_sigterm_is_killed(node: PrivateNode) -> None:
    bundle = node.yarn_bundle(command=["/bin/busybox", "sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"])
    bundle.launch()
    until(lambda: _ignores_sigterm(bundle.pid), "the trap")
    node.runtime("kill", bundle.id, "15")
    bundle.wait_stopped()


def test_a_foreign_container_may_ignore_sigterm(node: PrivateNode) -> None:
    bundle = node.foreign_bundle(command=["/bin/busybox", "sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"])
    bundle.launch()
    until(lambda: _ignores_sigterm(bundle.pid), "the trap")
    yarn = node.yarn_bundle(command=["/bin/busybox", "sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"]).launch()
    until(lambda: _ignores_sigterm(yarn.pid), "the trap")
    node.runtime("kill", bundle.id, "15")
    node.runtime("kill", yarn.id, "15")
    yarn.wait_stopped()  # sent later and ended, so the foreign one's time has passed
    assert bundle.state()["status"] == "running"


def _ignores_sigterm(pid: int) -> bool:
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        ignored = next(line.split()[1] for line in status if line.startswith("SigIgn:"))
    return bool(int(ignored, 16) & 1 << 14)


def test_two_engines_may_use_one_id(node: PrivateNode) -> None:
    yarn, foreign = node.yarn_bundle().launch(), node.foreign_bundle()
    other = [node.engine()[0], "--root", "/run/other-engine"]
    node.run([*other, "create", "--bundle", str(foreign.path), yarn.id])
    assert json.loads(node.run([*other, "state", yarn.id]).stdout)["bundle"] == str(foreign.path)
    node.run([*other, "delete", "--force", yarn.id])
    assert yarn.state()["status"] == "running"
    assert yarn.row()["slot"] == "slot1"


@pytest.mark.parametrize("oci_id", ["../escape", "a/b", "/etc", "..", ".", "", "x" * 201, "new\nline", "ü"], ids=repr)
@pytest.mark.parametrize("verb", ["create", "run", "start", "state", "exec", "kill", "delete"])
def test_an_id_that_is_a_path_or_no_id(node: PrivateNode, verb: str, oci_id: str) -> None:
    bundle = node.yarn_bundle()
    options = ["--bundle", str(bundle.path)] if verb in ("create", "run") else []
    files = sorted(str(path) for path in node.path("/run").rglob("*"))
    done = node.runtime(verb, *options, oci_id, *(["true"] if verb == "exec" else []), check=False)
    assert done.returncode not in (0, 2)
    assert done.stderr and node.log.read_text()
    assert node.leftovers() == []
    assert sorted(str(path) for path in node.path("/run").rglob("*")) == files


@pytest.mark.parametrize("verb", ["create", "run", "start", "state", "exec", "kill", "delete"])
def test_no_id(node: PrivateNode, verb: str) -> None:
    assert node.runtime(verb, check=False, cwd=str(node.foreign_bundle().path)).returncode != 0
    assert node.leftovers() == []


def test_runc_mode(node: PrivateNode) -> None:
    """One call, in the foreground, with an empty environment and no other verb ever."""
    node.configure(CONFIG.replace("[classes.plain]", '[classes.plain]\nnetworks = ["bridge", "host"]'))
    bundle = node.yarn_bundle(golden="runc-mode", command=["/bin/busybox", "sh", "-c", "id -u; exit 7"])
    private = NM / "local" / "nmPrivate" / bundle.application / bundle.container
    node.path(private / "config.json").write_text(bundle.config.read_text())
    for name in ("private_slash_tmp", "private_var_slash_tmp"):
        node.run(["install", "-d", "-o", str(ALICE), "-g", str(HADOOP), str(bundle.work / name)])
    words = ["run", "--pid-file", str(private / "pid"), "-b", str(private), bundle.container]
    done = node.run(["env", "-i", node.engine()[0], *words], check=False)
    assert (done.returncode, done.stdout) == (7, "6001\n")
    assert node.leftovers() == []
