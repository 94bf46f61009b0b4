"""Run a daemon with a log file and a pid file.

    python3 -I daemon.py <name> <program> [arguments]
"""

import os
import sys


def main() -> None:
    name, *program = sys.argv[1:]
    log = os.open(f"/var/log/cluster/{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    with open(f"/run/cluster/{name}.pid", "w") as file:
        file.write(str(os.getpid()))
    os.execvp(program[0], program)


main()
