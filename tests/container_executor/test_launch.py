"""Containers from launch to exit code, with the owners, modes and messages that were recorded."""

from __future__ import annotations

import os

import pytest

from tests.container_executor.node import (
    ALICE,
    APPLICATION,
    CONTAINER,
    HADOOP,
    LOCAL,
    LOG,
    LOG_DIR,
    PID_FILE,
    PRIVATE,
    WORK_DIR,
    Node,
)

HEADER = "main : command provided {}\nmain : run as user is alice\nmain : requested yarn user is alice\n"


def test_a_container_that_exits_with_7(node: Node) -> None:
    node.script("echo hello; exit 7")
    done = node.run_container()
    assert done.returncode == 7
    assert done.stderr == "Nonzero exit code=7, error message='Unable to execute container script'\n"
    assert done.stdout.startswith(
        f"{HEADER.format(4)}Creating script paths...\nCreating local dirs...\n"
        f"Getting exit code file...\nChanging effective user to root...\n{CONTAINER}\n"
    )
    assert done.stdout.endswith(
        "Obtaining the exit code...\n"
        f"Docker inspect command: /opt/fake-docker inspect --format {{{{.State.ExitCode}}}} {CONTAINER}\n"
        f"Exit code from docker inspect: 7\nWrote the exit code 7 to {PID_FILE}.exitcode\n"
    )
    assert node.read(f"{PID_FILE}.exitcode") == "7"


def test_owners_and_modes_while_it_runs(node: Node) -> None:
    node.script("sleep 60")
    launch = node.start(*node.launch_words("4", node.command_file()))
    node.wait_for(PID_FILE)
    assert {path: node.about(path) for path in EXPECTED} == EXPECTED
    assert node.read(f"{WORK_DIR}/container_tokens") == "secret"
    pid = int(node.read(PID_FILE))
    assert os.stat(f"/proc/{pid}").st_uid == ALICE
    killed = node.call("alice", "alice", "2", str(pid), "9")
    assert killed.stdout == f"{HEADER.format(2)}Killing process group {pid} with 9\n"
    assert launch.wait(20) == 137
    assert node.read(f"{PID_FILE}.exitcode") == "137"


USERCACHE = f"{LOCAL}/usercache/alice"
EXPECTED = {
    USERCACHE: f"alice {HADOOP} 2750",
    f"{USERCACHE}/appcache": f"alice {HADOOP} 2750",
    f"{USERCACHE}/appcache/{APPLICATION}": f"alice {HADOOP} 2750",
    WORK_DIR: f"alice {HADOOP} 2710",
    f"{WORK_DIR}/container_tokens": f"alice {HADOOP} 600",
    f"{WORK_DIR}/launch_container.sh": f"alice {HADOOP} 700",
    f"{WORK_DIR}/private_slash_tmp": f"alice {HADOOP} 710",
    f"{WORK_DIR}/private_var_slash_tmp": f"alice {HADOOP} 710",
    f"{WORK_DIR}/sysfs": f"alice {HADOOP} 2710",
    f"{WORK_DIR}/tmp": f"alice {HADOOP} 2710",
    f"{LOG}/{APPLICATION}": f"alice {HADOOP} 2750",
    LOG_DIR: f"alice {HADOOP} 2750",
    f"{LOG_DIR}/stdout.txt": f"alice {HADOOP} 640",
    f"{LOG_DIR}/stderr.txt": f"alice {HADOOP} 640",
    PID_FILE: f"yarn {HADOOP} 700",
}


def test_the_users_sigkill_does_not_reach_a_sandbox(node: Node) -> None:
    node.script("trap '' TERM; sleep 60 & wait; wait")
    launch = node.start(*node.launch_words("4", node.command_file(image="local/sandbox")))
    node.wait_for(PID_FILE)
    pid = int(node.read(PID_FILE))
    refused = node.call("alice", "alice", "2", str(pid), "9")
    assert refused.returncode == 9
    assert refused.stdout.endswith(f"Error signalling not exist process group {pid} with signal 9\n")
    assert refused.stderr == "Nonzero exit code=9, error message='Invalid container PID'\n"
    assert launch.poll() is None
    node.root("pkill", "-KILL", "--session", str(pid), check=False)
    node.root("kill", "-KILL", str(pid), check=False)
    launch.wait(20)


def test_the_runtimes_refusal_reaches_the_nodemanager(node: Node) -> None:
    node.script("true")
    done = node.run_container(image="local/broken")
    assert done.returncode == 7
    assert "OCI runtime create failed: tenant alice may not run this" in done.stderr
    assert done.stdout.endswith(f"{CONTAINER}\nWrote the exit code 7 to {PID_FILE}.exitcode\n")


def test_docker_is_run_by_root_with_nothing_of_the_callers_environment(node: Node) -> None:
    node.script("true")
    assert node.run_container().returncode == 0
    for environment, _ in node.docker_calls():
        assert not set(environment) - {"LC_CTYPE"}  # which Python itself sets


def test_entry_point_mode_keeps_docker_in_the_foreground(node: Node) -> None:
    node.script("true")
    values = {"use_entry_point": "true", "detach": "false", "launch_command": "bash,-c,echo out; echo err >&2; exit 3"}
    done = node.run_container(**values)
    assert done.returncode == 3
    assert node.read(f"{LOG_DIR}/stdout.txt").endswith("out\n" + CONTAINER + "\n")
    assert node.read(f"{LOG_DIR}/stderr.txt") == "err\n"


def test_a_process_container_leads_a_session_and_its_code_is_written(node: Node) -> None:
    node.script(f"ps -o sid= -p $$ > {LOG_DIR}/session; id -u; umask; exit 5")
    done = node.call(*node.launch_words("1", "cgroups=none"))
    assert done.returncode == 5
    assert node.read(PID_FILE) == node.read(f"{LOG_DIR}/session").strip()
    assert node.read(f"{PID_FILE}.exitcode") == "5"
    assert "Launching container...\n" in done.stdout
    assert done.stdout.endswith(f"{ALICE}\n0027\n")


def test_a_process_container_enters_its_cgroups(node: Node) -> None:
    node.root("install", "-d", "/srv/cgroup")
    node.script("true")
    assert node.call(*node.launch_words("1", "cgroups=/srv/cgroup/a%/srv/cgroup/b")).returncode == 0
    assert node.read("/srv/cgroup/a") == node.read("/srv/cgroup/b") == node.read(PID_FILE)


def test_the_localizer_runs_as_the_user_in_the_applications_folder(node: Node) -> None:
    words = ["alice", "alice", "0", APPLICATION, CONTAINER, f"{PRIVATE}/tokens", LOCAL, LOG]
    done = node.call(*words, "sh", "-c", "id -u; pwd; cat tokens; exit 4")
    assert done.returncode == 4
    folder = f"{LOCAL}/usercache/alice/appcache/{APPLICATION}"
    assert done.stdout == f"{HEADER.format(0)}{ALICE}\n{folder}\nsecret"
    assert node.about(LOG_DIR) == f"alice {HADOOP} 2750"


@pytest.mark.parametrize("what", ["tree", "file", "closed folder"])
def test_deletion_as_the_user(node: Node, what: str) -> None:
    node.script("mkdir -p tree/below; touch tree/below/file; ln -s / tree/below/root; mkdir -m 000 closed; touch file")
    assert node.call(*node.launch_words("1", "cgroups=none")).returncode == 0
    path = {"tree": f"{WORK_DIR}/tree", "file": f"{WORK_DIR}/file", "closed folder": f"{WORK_DIR}/closed"}[what]
    assert node.exists(path)
    done = node.call("alice", "alice", "3", path)
    assert (done.returncode, done.stdout) == (0, HEADER.format(3))
    assert not node.exists(path)
    assert node.exists("/etc/passwd")


def test_deletion_leaves_what_is_not_the_users(node: Node) -> None:
    done = node.call("alice", "alice", "3", f"{LOCAL}/filecache")
    assert done.returncode == 255
    assert node.exists(f"{LOCAL}/filecache")
