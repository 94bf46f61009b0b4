"""gVisor's runsc, built from the Go module proxy: Debian's is too old to network on a new kernel."""

import json
import os
import platform
import re
import shutil
import tempfile
from pathlib import Path

from integration.paths import cache
from integration.shell import ClusterError, run, step

VERSION = "v0.0.0-20260905035102-160fafc42237"
"""A commit of gVisor's branch `go`, which the go command can build."""

GO = "1.26.3"
"""The Go release that its go.mod asks for."""


def binary() -> Path:
    """Where `build` leaves runsc."""
    return cache() / "gvisor" / VERSION / "runsc"


def build() -> None:
    """Build runsc unless it is cached; without cgo, with which its sandbox does not start."""
    if binary().exists():
        return
    binary().parent.mkdir(parents=True, exist_ok=True)
    with step("building gVisor"), tempfile.TemporaryDirectory(dir=binary().parent) as folder:
        environment = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "auto", "GOBIN": folder, "GOFLAGS": "-trimpath"}
        run([_go(), "install", f"gvisor.dev/gvisor/runsc@{VERSION}"], env=environment, timeout=3600)
        (Path(folder) / "runsc").rename(binary())


def _go() -> str:
    """A go command that can fetch the Go release it needs: from 1.21 on it does so by itself."""
    installed = shutil.which("go")
    if installed is None:
        raise ClusterError("go is not installed: install Debian's golang-go")
    version = re.search(r"go(\d+)\.(\d+)", run([installed, "version"]).stdout)
    if version and (int(version[1]), int(version[2])) >= (1, 21):
        return installed
    return str(_toolchain(installed))


def _toolchain(old_go: str) -> Path:
    """Go itself is a module too; an older go can download it, but not arrange it."""
    target = cache() / f"go-{GO}"
    if not target.exists():
        architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
        module = f"golang.org/toolchain@v0.0.1-go{GO}.linux-{architecture}"
        downloaded = json.loads(run([old_go, "mod", "download", "-json", module]).stdout)
        scratch = target.with_suffix(".partial")
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(downloaded["Dir"], scratch)
        _arrange(scratch)
        scratch.rename(target)
    return target / "bin" / "go"


def _arrange(toolchain: Path) -> None:
    """Undo what a module zip cannot hold: file modes, and go.mod files of nested modules."""
    for folder, _, files in os.walk(toolchain):
        Path(folder).chmod(0o755)
        for name in files:
            if name == "_go.mod":
                (Path(folder) / name).rename(Path(folder) / "go.mod")
    for programs in (toolchain / "bin", *(toolchain / "pkg" / "tool").iterdir()):
        for program in programs.iterdir():
            program.chmod(0o755)
