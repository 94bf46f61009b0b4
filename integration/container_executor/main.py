"""The command line of container-executor."""

import grp
import os
import stat
import sys

from integration.container_executor import docker_tools
from integration.container_executor.configuration import Configuration, split
from integration.container_executor.deletion import delete
from integration.container_executor.docker_command import CONTAINER_ID
from integration.container_executor.docker_container import launch_docker
from integration.container_executor.errors import Code, Refusal, text
from integration.container_executor.folders import Caller, Container, user_dir
from integration.container_executor.initialize import initialize
from integration.container_executor.process import launch_process
from integration.container_executor.signalling import signal_container
from integration.container_executor.users import checked_user, enter

DISABLED = {
    "--mount-cgroups": "mount cgroup",
    "--tc-modify-state": "traffic control",
    "--tc-read-state": "traffic control",
    "--tc-read-stats": "traffic control",
    "--exec-container": "terminal",
    "--run-runc-container": "runc",
    "--reap-runc-layer-mounts": "runc",
}


def main(program: str, arguments: list[str], nodemanager_uid: int) -> int:
    """One call by the NodeManager's user; `program` is the setuid binary it was made through."""
    try:
        code = _dispatch(program, arguments, nodemanager_uid)
    except Refusal as refusal:
        if str(refusal):
            print(refusal, file=sys.stdout if refusal.logged else sys.stderr)
        code = refusal.code
    code %= 256
    sys.stdout.flush()
    if code:
        print(f"Nonzero exit code={code}, error message='{text(code)}'", file=sys.stderr)
    return code


def _dispatch(program: str, arguments: list[str], nodemanager_uid: int) -> int:
    folder = os.path.dirname(os.path.realpath(program))
    configuration = Configuration(os.path.realpath(f"{folder}/../etc/hadoop/container-executor.cfg"))
    caller = Caller(nodemanager_uid, _group(configuration))
    os.setresgid(caller.gid, caller.gid, caller.gid)
    os.setresuid(0, 0, 0)
    _check_permissions(program, caller.gid)
    if not arguments:
        raise Refusal(Code.INVALID_ARGUMENT_NUMBER, "Usage: container-executor --checksetup", logged=True)
    option, *rest = arguments
    if option == "--checksetup":
        return 0
    if option in DISABLED:
        raise Refusal(Code.FEATURE_DISABLED, f"Feature disabled: {DISABLED[option]}")
    if option in ("--run-docker", "--inspect-docker-container", "--remove-docker-container"):
        return _docker(option, rest, configuration, caller)
    return _as_user(arguments, configuration, caller)


def _docker(option: str, rest: list[str], configuration: Configuration, caller: Caller) -> int:
    if not configuration.enabled("module.enabled", "docker"):
        raise Refusal(Code.FEATURE_DISABLED, "Feature disabled: docker")
    counts = {"--run-docker": (1,), "--inspect-docker-container": (2,), "--remove-docker-container": (1, 2)}
    if len(rest) not in counts[option]:
        raise Refusal(Code.INVALID_ARGUMENT_NUMBER)
    if option == "--run-docker":
        return docker_tools.run_docker(rest[0], configuration, caller)
    if option == "--inspect-docker-container":
        return docker_tools.inspect(rest, configuration)
    return docker_tools.remove(rest, configuration)


def _as_user(arguments: list[str], configuration: Configuration, caller: Caller) -> int:
    if len(arguments) < 3:
        raise Refusal(Code.INVALID_ARGUMENT_NUMBER)
    run_as, yarn_user, command, *rest = arguments
    print(f"main : command provided {command}")
    print(f"main : run as user is {run_as}")
    print(f"main : requested yarn user is {yarn_user}", flush=True)
    if command not in ("0", "1", "2", "3", "4"):
        raise Refusal(Code.INVALID_COMMAND_PROVIDED, f"Invalid command {command} not supported.")
    user = checked_user(run_as, configuration)
    enter(user)
    if command == "0":
        _count(rest, 6)
        application, container, tokens, local_dirs, log_dirs, *localizer = rest
        _container_id(container)
        folders = (split(local_dirs), split(log_dirs))
        return initialize(user, application, container, tokens, *folders, localizer, caller)
    if command == "2":
        _count(rest, 2)
        return signal_container(user, int(rest[0]), int(rest[1]))
    if command == "3":
        _count(rest, 1)
        return delete(rest[0], rest[1:], caller)
    _count(rest, 10)
    application, container, work_dir, script, tokens, http, pid_file, local_dirs, log_dirs, last = rest[:10]
    if http != "--http":
        raise Refusal(Code.FEATURE_DISABLED, f"Feature disabled: {http}")
    _container_id(container)
    paths = (work_dir, script, tokens, pid_file)
    described = Container(user, application, container, *paths, split(local_dirs), split(log_dirs))
    _check_work_dir(described)
    if command == "1":
        cgroups = last.removeprefix("cgroups=").split("%")
        return launch_process(described, cgroups, caller)
    return launch_docker(described, last, configuration, caller)


def _count(rest: list[str], least: int) -> None:
    if len(rest) < least:
        message = f"Too few arguments ({len(rest) + 4} vs {least + 4})"
        raise Refusal(Code.INVALID_ARGUMENT_NUMBER, message)


def _container_id(container: str) -> None:
    if not CONTAINER_ID.fullmatch(container):
        raise Refusal(Code.INVALID_CONTAINER_ID, f"Invalid container id {container}")


def _check_work_dir(container: Container) -> None:
    """The work folder is one of this user's on one of the NodeManager's disks."""
    below = [f"{user_dir(local_dir, container.user.pw_name)}/appcache/" for local_dir in container.local_dirs]
    if ".." in container.work_dir or not container.work_dir.startswith(tuple(below)):
        message = f"Can't change directory to {container.work_dir} -not below the user's folders"
        raise Refusal(Code.COULD_NOT_CREATE_WORK_DIRECTORIES, message)


def _group(configuration: Configuration) -> int:
    key = "yarn.nodemanager.linux-container-executor.group"
    name = configuration.value(key)
    if not name:
        raise Refusal(Code.INVALID_CONFIG_FILE, f"Can't get configured value for {key}.")
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise Refusal(Code.INVALID_CONFIG_FILE, f"Can't get group information for {name}.") from None


def _check_permissions(program: str, gid: int) -> None:
    """Setuid root, and only for the NodeManager's group to execute."""
    about = os.stat(program)
    wanted = about.st_uid == 0 and about.st_gid == gid and about.st_mode & stat.S_ISUID
    if not wanted or about.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
        message = "Invalid permissions on container-executor binary."
        raise Refusal(Code.INVALID_CONTAINER_EXEC_PERMISSIONS, message)
