"""Run a program in a root file system, with /proc, /dev and the outer machine's name resolution.

    unshare --mount --pid --fork --kill-child python3 -I chroot.py <rootfs> <program> [arguments]

The mounts live in the caller's private mount namespace and end with it.
"""

import os
import subprocess
import sys


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def main() -> None:
    rootfs, *program = sys.argv[1:]
    mount("-t", "proc", "proc", f"{rootfs}/proc")
    mount("--rbind", "/dev", f"{rootfs}/dev")
    for name in ("resolv.conf", "hosts"):
        target = f"{rootfs}/etc/{name}"
        with open(target, "a"):
            mount("--bind", os.path.realpath(f"/etc/{name}"), target)
    os.chroot(rootfs)
    os.chdir("/")
    os.execvp(program[0], program)


main()
