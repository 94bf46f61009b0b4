"""nvidia-container-runtime, the best-known wrapper of runc, from the Go module proxy.

It loads and rewrites a spec only for a container that asks for a device, so one is described to it (mode
"cdi") that gives an environment variable; all of its other verbs are handed on to runc.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

VERSION = "v1.20.1"
_MODULE = "github.com/NVIDIA/nvidia-container-toolkit/cmd/nvidia-container-runtime"
_REQUEST = "NVIDIA_VISIBLE_DEVICES=0"
_GIVEN = "YARN_KATA_BENCH=rewritten"

_CONFIG = """
[nvidia-container-runtime]
mode = "cdi"
runtimes = ["/usr/sbin/runc"]

[nvidia-container-runtime.modes.cdi]
spec-dirs = ["{folder}/cdi"]
default-kind = "nvidia.com/gpu"
"""
_DEVICE = {
    "cdiVersion": "0.5.0",
    "kind": "nvidia.com/gpu",
    "devices": [{"name": "0", "containerEdits": {"env": [_GIVEN]}}],
}


def binary() -> Path:
    """Return the program, built unless it is cached."""
    path = _cache() / "bench" / f"nvidia-container-runtime-{VERSION}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            # with cgo: its packages for the driver are not there without
            environment = {**os.environ, "GOBIN": folder, "CGO_ENABLED": "1", "GOTOOLCHAIN": "auto"}
            subprocess.run([_go(), "install", f"{_MODULE}@{VERSION}"], env=environment, check=True)
            (Path(folder) / "nvidia-container-runtime").rename(path)
    return path


def configure(folder: Path) -> dict[str, str]:
    """Write its configuration below `folder` and return the environment that names it."""
    (folder / "cdi").mkdir(parents=True)
    (folder / "cdi" / "device.json").write_text(json.dumps(_DEVICE))
    (folder / "config.toml").write_text(_CONFIG.format(folder=folder))
    return {"NVIDIA_CTK_CONFIG_FILE_PATH": str(folder / "config.toml")}


def request_device(spec: dict[str, Any]) -> None:
    """Let the container ask for the device."""
    spec["process"]["env"].append(_REQUEST)


def is_rewritten(spec: Mapping[str, Any]) -> bool:
    """Say whether the device was given."""
    return _GIVEN in spec["process"]["env"]


def _cache() -> Path:
    chosen = os.environ.get("YARN_KATA_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "yarn-kata-runtime"


def _go() -> str:
    found = shutil.which("go")
    if found is None:
        raise FileNotFoundError("go is not installed; install Debian's golang-go to compare with nvidia")
    return found
