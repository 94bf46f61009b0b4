"""Debian packages of the outer machine: what is missing is installed, the rest left alone."""

import os
import shutil
import sys
from pathlib import Path

from integration.shell import ClusterError, run

# What Makefile and mini-cluster call on the outer machine, and the package that brings it.
PROGRAMS = {
    "/usr/bin/docker": "docker.io",
    "/usr/sbin/dockerd": "docker.io",
    "/usr/bin/containerd": "containerd",
    "/usr/sbin/runc": "runc",
    "/usr/sbin/debootstrap": "debootstrap",
    "/usr/sbin/iptables": "iptables",
    "/usr/sbin/nft": "nftables",
    "/usr/bin/nsenter": "util-linux",
    "ip": "iproute2",
    "sysctl": "procps",
    "gcc": "gcc",
    "make": "make",
    "/usr/include/stdio.h": "libc6-dev",
    "mvn": "maven",
    "go": "golang-go",
    "tar": "tar",
    f"/usr/lib/python{sys.version_info.major}.{sys.version_info.minor}/ensurepip": "python3-venv",
}


def missing() -> list[str]:
    """Packages whose program is not there."""

    def there(program: str) -> bool:
        return Path(program).exists() if program.startswith("/") else shutil.which(program) is not None

    return sorted({package for program, package in PROGRAMS.items() if not there(program)})


def install() -> None:
    """Install what is missing; needs root and an apt that works."""
    packages = missing()
    if not packages:
        return
    if os.geteuid() != 0:
        raise ClusterError(f"Debian packages are missing ({', '.join(packages)}): run this with sudo")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "-q", "update"], env=quiet)
    run(["apt-get", "-q", "-y", "install", "--no-install-recommends", *packages], env=quiet)
