#!/usr/bin/python3 -I
"""What container-executor asks of docker, with plain processes for containers.

State is one JSON file a container below STATE.  Every call is appended to STATE/calls as a JSON line
[environment, argv].  The image decides how a container behaves:
    local/task      its process is the user's, as with runc
    local/sandbox   State.Pid is a process of root's, as with a sandbox
    local/broken    the runtime's create fails
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

STATE = Path("/srv/docker")
REFUSAL = "docker: Error response from daemon: OCI runtime create failed: tenant alice may not run this: unknown"


def main(arguments: list[str]) -> int:
    with open(STATE / "calls", "a") as calls:
        calls.write(json.dumps([dict(os.environ), arguments]) + "\n")
    words = [word for word in arguments if not word.startswith("--config=")]
    verbs = {"run": run, "inspect": inspect, "kill": kill, "rm": remove}
    return verbs[words[0]](words[1:])


def option(words: list[str], name: str) -> str:
    return next(word.partition("=")[2] for word in words if word.startswith(f"--{name}="))


def run(words: list[str]) -> int:
    image = next(n for n, word in enumerate(words) if word.startswith("local/"))
    name, (uid, gid) = option(words, "name"), option(words, "user").split(":")
    if words[image] == "local/broken":
        print(name)
        print(REFUSAL, file=sys.stderr)
        save(name, status="created", pid=0, code=128)
        return 125
    read, write = os.pipe()
    supervisor = os.fork()
    if supervisor == 0:
        os.setsid()
        os.close(read)
        supervise(name, words[image], words[image + 1 :], int(uid), int(gid), write)
    os.close(write)
    os.read(read, 1)
    print(name)
    return 0 if "-d" in words else os.waitstatus_to_exitcode(os.waitpid(supervisor, 0)[1])


def supervise(name: str, image: str, command: list[str], uid: int, gid: int, started: int) -> None:
    if "-d" in sys.argv:
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
    process = subprocess.Popen(command, user=uid, group=gid, extra_groups=[], start_new_session=True)
    save(name, status="running", pid=os.getpid() if image == "local/sandbox" else process.pid, code=0)
    os.close(started)
    code = process.wait()
    code = code if code >= 0 else 128 - code
    save(name, status="exited", pid=0, code=code)
    os._exit(code)


def inspect(words: list[str]) -> int:
    format_ = next(word for word in words if "{{" in word).removeprefix("--format=")
    file = STATE / f"{words[-1]}.json"
    if not file.exists():
        print()
        print(f"Error: No such object: {words[-1]}", file=sys.stderr)
        return 1
    state = json.loads(file.read_text())
    keys = {"{{.State.Pid}}": "pid", "{{.State.ExitCode}}": "code", "{{.State.Status}}": "status"}
    print(state[keys[format_]])
    return 0


def kill(words: list[str]) -> int:
    state = json.loads((STATE / f"{words[-1]}.json").read_text())
    os.kill(state["pid"], getattr(signal, option(words, "signal")))
    print(words[-1])
    return 0


def remove(words: list[str]) -> int:
    (STATE / f"{words[-1]}.json").unlink(missing_ok=True)
    print(words[-1])
    return 0


def save(name: str, **state: object) -> None:
    scratch = STATE / f"{name}.{os.getpid()}"
    scratch.write_text(json.dumps(state))
    scratch.rename(STATE / f"{name}.json")


sys.exit(main(sys.argv[1:]))
