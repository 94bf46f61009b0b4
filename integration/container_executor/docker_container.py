"""Command 4: docker run, the pid file, and waiting for the container's end."""

import os
import subprocess
import sys
import time

from integration.container_executor.configuration import Configuration
from integration.container_executor.docker_command import DockerCommand
from integration.container_executor.docker_tools import read_command
from integration.container_executor.errors import Code
from integration.container_executor.folders import (
    Caller,
    Container,
    create_docker_dirs,
    write_as_nodemanager,
)
from integration.container_executor.launch import Sources, create_local_dirs
from integration.container_executor.users import acting_as

POLL_SECONDS = 1
RETRY_SECONDS = 3


def launch_docker(container: Container, command_file: str, configuration: Configuration, caller: Caller) -> int:
    """Run the container to its end; its exit code, written beside the pid file too, is returned."""
    log_dir = _prepare(container, caller)
    command = read_command(command_file, configuration, caller)  # its mounts must exist to be checked
    print("Getting exit code file...")
    print("Changing effective user to root...")
    with acting_as(0, container.user.pw_gid):
        outputs = [_log_file(f"{log_dir}/{name}", container, caller) for name in ("stdout.txt", "stderr.txt")]
        code = _run(container, command, configuration, caller, outputs)
        write_as_nodemanager(container.exit_code_file, code % 256, caller)
        print(f"Wrote the exit code {code} to {container.exit_code_file}")
    return code


def _prepare(container: Container, caller: Caller) -> str:
    sources = Sources(container, caller)
    log_dir = create_local_dirs(container, sources, caller)
    create_docker_dirs(container)
    return log_dir


def _run(
    container: Container,
    command: DockerCommand,
    configuration: Configuration,
    caller: Caller,
    outputs: list[str],
) -> int:
    inspector = Inspector(configuration, container.id)
    sys.stdout.flush()
    if command.entry_point:
        _run_in_foreground(command, outputs, inspector)
    elif subprocess.run(command.argv, env={}).returncode != 0:
        return Code.UNABLE_TO_EXECUTE_CONTAINER_SCRIPT
    pid = inspector.pid()
    if pid is None:
        return Code.UNABLE_TO_EXECUTE_CONTAINER_SCRIPT
    if pid:
        print("Writing pid file...")
        print(f"Writing to tmp file {container.pid_file}.tmp")
        write_as_nodemanager(container.pid_file, pid, caller)
        print("Waiting for docker container to finish.", flush=True)
        while os.path.isdir(f"/proc/{pid}"):
            time.sleep(POLL_SECONDS)
    return inspector.exit_code()


def _run_in_foreground(command: DockerCommand, outputs: list[str], inspector: "Inspector") -> None:
    """docker stays attached and writes the container's output into its log folder."""
    stdout, stderr = outputs
    with open(stdout, "a") as out, open(stderr, "a") as err:
        out.write(f"Launching docker container...\nDocker run command: {' '.join(command.argv)} \n")
        out.flush()
        subprocess.Popen(command.argv, env={}, stdout=out, stderr=err)
    for _ in range(inspector.retries):
        if inspector.pid():
            return
        time.sleep(RETRY_SECONDS)


def _log_file(path: str, container: Container, caller: Caller) -> str:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o640)
    os.fchown(descriptor, container.user.pw_uid, caller.gid)
    os.fchmod(descriptor, 0o640)
    os.close(descriptor)
    return path


class Inspector:
    """Questions to docker about one container."""

    def __init__(self, configuration: Configuration, container: str) -> None:
        self.retries = configuration.inspect_retries
        self._docker = configuration.docker_binary
        self._container = container

    def pid(self) -> int | None:
        """0 = it is not running; None = docker does not know it."""
        print("Inspecting docker container...")
        argv = self._argv("{{.State.Pid}}")
        print(f"Docker inspect command: {' '.join(argv)}")
        pid = self._number(argv)
        print(f"pid from docker inspect: {pid or 0}")
        if pid is None:
            print(f"Could not inspect docker to get pid {' '.join(argv)}.", file=sys.stderr)
        return pid

    def exit_code(self) -> int:
        """A 0 may be one that docker has not written yet: asked again, docker.inspect.max.retries times."""
        print("Obtaining the exit code...")
        argv = self._argv("{{.State.ExitCode}}")
        print(f"Docker inspect command: {' '.join(argv)}", flush=True)
        code = -1
        for _ in range(self.retries):
            number = self._number(argv)
            if number is None:
                print(f"Could not inspect docker to get Exit code {' '.join(argv)}.", file=sys.stderr)
            code = -1 if number is None else number
            if number:
                break
            time.sleep(RETRY_SECONDS)
        print(f"Exit code from docker inspect: {code}")
        return code

    def _argv(self, format_: str) -> list[str]:
        return [self._docker, "inspect", "--format", format_, self._container]

    def _number(self, argv: list[str]) -> int | None:
        done = subprocess.run(argv, env={}, stdout=subprocess.PIPE, text=True)
        text = done.stdout.strip()
        return int(text) if done.returncode == 0 and text.lstrip("-").isdigit() else None
