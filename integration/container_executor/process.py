"""Command 1: a plain process, the leader of a session of its own."""

import os
import sys

from integration.container_executor.errors import Code, Refusal
from integration.container_executor.folders import Caller, Container, write_as_nodemanager
from integration.container_executor.launch import Sources, create_local_dirs
from integration.container_executor.users import acting_as, drop


def launch_process(container: Container, cgroups: list[str], caller: Caller) -> int:
    """Run the launch script, wait for it, write its exit code beside the pid file and return it."""
    print("Getting exit code file...")
    sources = Sources(container, caller)
    # The child prints what happens next; it must not find this in its buffer too.
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _run(container, sources, cgroups, caller)
    code = _exit_code(os.waitpid(child, 0)[1])
    write_as_nodemanager(container.exit_code_file, code, caller)
    return code


def _run(container: Container, sources: Sources, cgroups: list[str], caller: Caller) -> None:
    os.setsid()
    print("Writing pid file...")
    print(f"Writing to tmp file {container.pid_file}.tmp")
    write_as_nodemanager(container.pid_file, os.getpid(), caller)
    print("Writing to cgroup task files...")
    for path in cgroups:
        if path != "none":
            _enter_cgroup(path)
    try:
        create_local_dirs(container, sources, caller)
        print("Launching container...", flush=True)
        drop(container.user)
    except Refusal as refusal:
        print(refusal, flush=True)
        os._exit(refusal.code)
    os.umask(0o027)
    os.execv(container.script_copy, [container.script_copy])


def _enter_cgroup(path: str) -> None:
    try:
        with acting_as(0, 0), open(path, "w") as file:
            file.write(str(os.getpid()))
    except OSError as error:
        print(f"Can't write process to file {path} as node manager - {error.strerror}", flush=True)
        os._exit(Code.WRITE_CGROUP_FAILED)


def _exit_code(status: int) -> int:
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
