"""The bundle's config.json: read once, written at once or not at all."""

from __future__ import annotations

import os

from yarn_kata_runtime import plainjson
from yarn_kata_runtime.container.spec import checked
from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.node import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from yarn_kata_runtime.container.spec import Spec

_LIMIT = 16 * 1024 * 1024  # the largest spec seen is 50 KiB


def read(bundle: str) -> Spec:
    """Return the bundle's spec; Refused saying what is wrong with it."""
    path = f"{bundle}/config.json"
    try:
        spec = plainjson.load_object(files.read_file(path, _LIMIT))
    except files.UnsafeFile as error:
        raise Refused(str(error)) from None
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}; the engine makes it, look at its log") from None
    except ValueError as error:
        raise Refused(f"{path} is no OCI spec: {error}; the engine makes it, look at its log") from None
    return checked(spec)


def write(bundle: str, spec: Spec) -> None:
    """Replace the bundle's spec, keeping its mode; Refused where that fails."""
    path = f"{bundle}/config.json"
    try:
        files.write_file(path, plainjson.dumps(spec), os.stat(path, follow_symlinks=False).st_mode & 0o777)
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}; free the disk and try again") from None
