"""Which mounts container-executor.cfg allows: docker.allowed.ro-mounts and docker.allowed.rw-mounts."""

import os
import re
import stat

from integration.container_executor.configuration import Configuration
from integration.container_executor.errors import Code, Refusal

_VOLUME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_MODES = {"ro", "rw", "shared", "rshared", "slave", "rslave", "private", "rprivate"}


def mount_arguments(mounts: list[str], configuration: Configuration) -> list[str]:
    """`source:target[:mode]` each as docker's -v; Refusal for what is not allowed."""
    if not mounts:
        return []
    readable = [_normalized(path) for path in configuration.docker("allowed.ro-mounts")]
    writable = [_normalized(path) for path in configuration.docker("allowed.rw-mounts")]
    for mount in mounts:
        _check(mount, readable, writable, configuration.path)
    return [word for mount in mounts for word in ("-v", mount)]


def _check(mount: str, readable: list[str], writable: list[str], own_file: str) -> None:
    parts = mount.split(":")
    if not 2 <= len(parts) <= 3 or not all(parts):
        raise Refusal(Code.INVALID_MOUNT, f"Invalid docker mount '{mount}'")
    source, modes = parts[0], parts[2].split("+") if len(parts) == 3 else ["rw"]
    if not set(modes) <= _MODES:
        raise Refusal(Code.INVALID_MOUNT, f"Invalid docker mount mode in '{mount}'")
    path = _normalized(source)
    refused = f"Configuration does not allow docker mount '{mount}', realpath={path}"
    if "ro" in modes:
        if not _beneath(path, readable + writable):
            raise Refusal(Code.INVALID_RO_MOUNT, refused)
        return
    if not _beneath(path, writable):
        raise Refusal(Code.INVALID_RW_MOUNT, refused)
    if _beneath(os.path.realpath(own_file), [path]):
        message = f"Attempting to mount a parent directory '{mount}' of container-executor.cfg as read-write"
        raise Refusal(Code.INVALID_RW_MOUNT, message)


def _normalized(path: str) -> str:
    """The real path, a folder's with a slash at its end; a volume's name as it is."""
    try:
        real = os.path.realpath(path, strict=True)
        return f"{real.rstrip('/')}/" if stat.S_ISDIR(os.stat(real).st_mode) else real
    except OSError as error:
        if _VOLUME.fullmatch(path):
            return path
        message = f"Could not determine real path of mount '{path}'"
        raise Refusal(Code.MOUNT_ACCESS_ERROR, message) from error


def _beneath(path: str, folders: list[str]) -> bool:
    """Is it one of `folders`, or below one that ends with a slash?"""
    return any(path == folder or (folder.endswith("/") and path.startswith(folder)) for folder in folders)
