"""Programs of the outer machine: run one, get its output, or fail with what it said."""

import contextlib
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence


class ClusterError(Exception):
    """One sentence for the person who started the cluster: what is wrong, and what to do."""


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float = 900,
) -> subprocess.CompletedProcess[str]:
    """Run argv and capture its output; `env` is added to ours.

    Raises ClusterError if it cannot be started, takes longer than `timeout` seconds or, with
    `check`, if it exits with anything but 0.
    """
    command = [os.fspath(word) for word in argv]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **env} if env else None,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )
    except FileNotFoundError as error:
        raise ClusterError(f"{command[0]} is not installed ({error.strerror})") from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{shlex.join(command)} took longer than {timeout:.0f} s") from error
    if check and done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise ClusterError(f"{shlex.join(command)} exited with {done.returncode}: {said}")
    return done


def wait_for(what: str, ready: Callable[[], bool], timeout: float, interval: float = 0.2) -> None:
    """Ask `ready` until it says yes; ClusterError names `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > deadline:
            raise ClusterError(f"{what} did not happen within {timeout:.0f} s")
        time.sleep(interval)


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Say what is being done and how long it took."""
    started = time.monotonic()
    print(f"  {title} ...", flush=True)
    yield
    print(f"  {title}: {time.monotonic() - started:.1f} s", flush=True)
