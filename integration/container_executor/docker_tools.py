"""The calls that hand one docker command on, as root."""

import os
import subprocess
import sys
from pathlib import Path

from integration.container_executor.configuration import Configuration
from integration.container_executor.docker_command import DockerCommand, validated_container
from integration.container_executor.errors import Code, Refusal, text
from integration.container_executor.folders import Caller
from integration.container_executor.users import acting_as


def read_command(path: str, configuration: Configuration, caller: Caller) -> DockerCommand:
    """A command file, read with the NodeManager's rights."""
    try:
        with acting_as(caller.uid, caller.gid):
            try:
                content = Path(path).read_text()
            except OSError as error:
                message = f"Invalid conf file provided, unable to open file : {path} "
                raise Refusal(Code.INVALID_DOCKER_COMMAND_FILE, message) from error
            return DockerCommand(path, content, configuration)
    except Refusal as refusal:
        raise _construction_failed(refusal) from refusal


def run_docker(path: str, configuration: Configuration, caller: Caller) -> int:
    """--run-docker: docker takes this process's place."""
    argv = read_command(path, configuration, caller).argv
    sys.stdout.flush()
    os.execve(argv[0], argv, {})


def inspect(arguments: list[str], configuration: Configuration) -> int:
    """--inspect-docker-container --format=... <container>: docker takes this process's place."""
    argv = [configuration.docker_binary, "inspect", *arguments]
    os.execve(argv[0], argv, {})


def remove(arguments: list[str], configuration: Configuration) -> int:
    """--remove-docker-container [hierarchy] <container>, with the cgroups that the NodeManager made."""
    *hierarchy, container = arguments
    done = subprocess.run([configuration.docker_binary, "rm", "-f", container], env={})
    if not hierarchy:
        return Code.DOCKER_RUN_FAILED if done.returncode else 0
    return _remove_cgroups(hierarchy[0], validated_container(container))


def _remove_cgroups(hierarchy: str, container: str) -> int:
    result = 0
    for line in Path("/proc/mounts").read_text().splitlines():
        _, folder, kind, *_ = line.split()
        if kind != "cgroup":
            continue
        path = Path(folder) / hierarchy.strip("/") / container
        try:
            path.rmdir()
        except FileNotFoundError:
            continue
        except OSError as error:
            print(f"clean_docker_cgroups: Failed to rmdir cgroup, {path} (error={error.strerror})", file=sys.stderr)
            result = Code.ERROR
    return result


def _construction_failed(refusal: Refusal) -> Refusal:
    """container-executor ends with one code for all of them and names the cause in its message."""
    said = f"{refusal}\n" if str(refusal) else ""
    message = (
        f"{said}Error constructing docker command, docker error code={int(refusal.code)}, "
        f"error message='{text(refusal.code)}'"
    )
    return Refusal(Code.DOCKER_RUN_FAILED, message)
