"""The compiled configuration, made anew whenever one of the files it rests on has changed."""

from __future__ import annotations

import os
import time

from yarn_kata_runtime import __version__, paths, plainjson
from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.node import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from yarn_kata_runtime.compiled import Compiled, Policy

_LIMIT = 4 * 1024 * 1024
_COMPILE_SECONDS = 30.0
_POLL_SECONDS = 0.01
_SIGKILL = 9


def load() -> Policy:
    """Return the policy in force.

    Raises Refused where the configuration is missing, invalid or cannot be compiled: a container is
    refused rather than run under the policy of before.
    """
    compiled = _current(stamp())
    if compiled is None:
        _compile()
        compiled = _current(stamp())
    if compiled is None:
        raise Refused(f"{paths.CONFIG} could not be compiled; see yarn-kata-runtime config check")
    if compiled["error"] is not None or compiled["policy"] is None:
        raise Refused(f"{paths.CONFIG} is not valid: {compiled['error']}; see yarn-kata-runtime config check")
    return compiled["policy"]


def stamp() -> str:
    """Return what identifies the state of the files that a compiled policy rests on."""
    marks = [__version__]
    for path in (paths.CONFIG, "/etc/passwd", "/etc/group"):
        try:
            found = os.stat(path)
        except OSError as error:
            marks.append(f"errno {error.errno}")
        else:
            marks.append(f"{found.st_ino}.{found.st_size}.{found.st_mtime_ns}.{found.st_ctime_ns}")
    return " ".join(marks)


def _current(wanted: str) -> Compiled | None:
    """Return the compiled file if it was made from the files as they are now."""
    try:
        compiled: Compiled = plainjson.load_object(files.read_file(paths.policy(), _LIMIT))  # type: ignore[assignment]
        return compiled if compiled["stamp"] == wanted else None
    except (OSError, ValueError, KeyError):
        return None


def _compile() -> None:
    python = interpreter()
    arguments = [python, "-I", "-m", "yarn_kata_runtime.config.compile"]
    null = os.open(os.devnull, os.O_RDWR)
    try:
        to_null = [(os.POSIX_SPAWN_DUP2, null, stream) for stream in (0, 1, 2)]
        pid = os.posix_spawn(python, arguments, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, file_actions=to_null)
    except OSError as error:
        raise Refused(f"{python} cannot be executed ({error.strerror}); install yarn-kata-runtime again") from None
    finally:
        os.close(null)
    deadline = time.monotonic() + _COMPILE_SECONDS
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(pid, _SIGKILL)
            os.waitpid(pid, 0)
            raise Refused(
                f"compiling {paths.CONFIG} took over {_COMPILE_SECONDS:.0f} s; try yarn-kata-runtime config check"
            )
        time.sleep(_POLL_SECONDS)


def interpreter() -> str:
    """Return the interpreter of the virtual environment that this package is installed in."""
    return __file__.rsplit("/", 6)[0] + "/bin/python3"  # <venv>/lib/pythonX/site-packages/<package>/runtime/
