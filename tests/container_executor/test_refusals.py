"""What the genuine container-executor refuses is refused here too."""

from __future__ import annotations

import pytest

from integration import tree
from tests.container_executor.node import APPLICATION, CONTAINER, LOCAL, LOG, PRIVATE, WORK_DIR, Node


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("root", "Running as root is not allowed"),
        ("bob", "Requested user bob is banned"),
        ("daemon", "Requested user daemon is not whitelisted and has id 1"),
        ("mallory", "User mallory not found"),
    ],
)
def test_users(node: Node, user: str, words: str) -> None:
    done = node.call(user, user, "3", "/srv/nm/local/filecache")
    assert done.returncode == 255
    assert words in done.stdout
    assert node.exists("/srv/nm/local/filecache")


@pytest.mark.parametrize(
    ("values", "code", "words"),
    [
        ({"net": "host"}, 60, "Could not find requested network in allowed networks"),
        ({"runtime": "runc"}, 74, "Invalid param 'runc' requested"),
        ({"cap_add": "SYS_ADMIN"}, 62, "Invalid docker capability requested"),
        ({"privileged": "true"}, 63, "Privileged containers are disabled"),
        ({"privileged": "yes"}, 63, "Privileged containers are disabled"),
        ({"pid": "host"}, 70, "Host pid namespace is disabled"),
        ({"devices": "/dev/kvm:/dev/kvm"}, 64, "Invalid docker device requested"),
        ({"mounts": "/etc:/etc:ro"}, 50, "Configuration does not allow docker mount '/etc:/etc:ro'"),
        ({"mounts": "/etc/passwd:/etc/passwd:rw"}, 51, "Configuration does not allow docker mount"),
        ({"mounts": "/etc/passwd:/etc/passwd"}, 51, "Configuration does not allow docker mount"),
        ({"mounts": f"{LOCAL}/../../../etc:/x:rw"}, 51, "realpath=/etc/"),
        ({"mounts": "/etc/passwd"}, 49, "Invalid docker mount '/etc/passwd'"),
        ({"mounts": "/nowhere:/x:ro"}, 52, "Could not determine real path of mount '/nowhere'"),
        ({"name": "evil"}, 55, "Specified container_id=evil is invalid"),
        ({"image": "local/task;reboot"}, 56, "Invalid docker image name"),
        ({"user": ""}, 57, "Invalid docker user name"),
        ({"docker_command": "exec"}, 59, "Unknown docker command"),
    ],
)
def test_what_applications_may_not_have(node: Node, values: dict[str, str], code: int, words: str) -> None:
    node.script("true")
    done = node.run_container(**values)
    assert done.returncode == 29
    assert words in done.stderr
    assert f"Error constructing docker command, docker error code={code}, error message='" in done.stderr
    assert not node.exists("/srv/docker/calls")


def test_a_symbolic_link_is_no_way_to_a_mount(node: Node) -> None:
    node.script("true")
    node.as_yarn("ln", "-s", "/etc", f"{LOCAL}/link")
    done = node.run_container(mounts=f"{LOCAL}/link:/x:rw")
    assert "docker error code=51" in done.stderr


def test_an_image_of_no_trusted_registry_gets_no_mounts(node: Node) -> None:
    node.script("true")
    node.root("sed", "-i", "s/trusted.registries=local/trusted.registries=other/", node.configuration)
    done = node.run_container(cap_add="SYS_ADMIN")
    assert "image: local/task is not trusted." in done.stderr
    (run,) = [argv for _, argv in node.docker_calls() if "run" in argv]
    assert "-v" not in run
    assert not any(word.startswith("--cap-add") for word in run)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["alice", "alice", "9"], 3),
        (["alice", "alice", "2", "0", "9"], 9),
        (["alice", "alice", "0", APPLICATION, "not-a-container", "t", LOCAL, LOG, "true"], 43),
        (["alice", "alice", "4", APPLICATION], 1),
        (["alice"], 1),
        (["--run-docker"], 1),
        (["--mount-cgroups", "x", "y"], 32),
        (["--reap-runc-layer-mounts", "100"], 32),
        (["--remove-docker-container", "hadoop-yarn", "../../x"], 55),
    ],
)
def test_bad_calls(node: Node, words: list[str], code: int) -> None:
    assert node.call(*words).returncode == code


def test_folders_that_are_not_the_nodemanagers(node: Node) -> None:
    node.script("true")
    words = node.launch_words("4", node.command_file())
    outside = [word.replace(WORK_DIR, "/tmp/elsewhere") for word in words]
    assert node.call(*outside).returncode == 35
    foreign = [word if word != LOG else "/srv" for word in words]
    done = node.call(*foreign)
    assert done.returncode == 255
    assert "Permission mismatch for /srv for caller uid: 54000, owner uid: 0." in done.stdout


def test_a_command_file_that_is_gone(node: Node) -> None:
    done = node.call("--run-docker", f"{PRIVATE}/gone.cmd")
    assert done.returncode == 29
    assert done.stderr == (
        f"Invalid conf file provided, unable to open file : {PRIVATE}/gone.cmd \n"
        "Error constructing docker command, docker error code=53, error message='Invalid docker command file passed'\n"
        "Nonzero exit code=29, error message='Docker run failed'\n"
    )


def test_docker_answers_of_a_container_that_is_gone(node: Node) -> None:
    done = node.call("--inspect-docker-container", "--format={{.State.Status}}", CONTAINER)
    assert (done.returncode, done.stdout) == (1, "\n")
    assert done.stderr == f"Error: No such object: {CONTAINER}\n"
    assert node.call("--remove-docker-container", "hadoop-yarn", CONTAINER).returncode == 0


def test_setup_is_checked_at_every_call(node: Node) -> None:
    assert node.call("--checksetup").returncode == 0
    node.root("chmod", "6755", tree.PROGRAM)
    assert node.call("--checksetup").returncode == 22
    node.root("chmod", "6050", tree.PROGRAM)
    node.root("chmod", "666", node.configuration)
    done = node.call("--checksetup")
    assert done.returncode == 24
    assert "must not be world or group writable" in done.stderr


def test_only_the_nodemanagers_group_may_call(node: Node) -> None:
    # setpriv keeps its capabilities until it has executed something.
    stranger = ["setpriv", "--reuid=54002", "--regid=54002", "--clear-groups", "env"]
    done = node.root(*stranger, tree.PROGRAM, "--checksetup", check=False)
    assert (done.returncode, "Permission denied" in done.stderr) == (126, True)
