"""One user of the cluster at a time: who ends first takes it down, and another's jobs with it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from integration.paths import RUN
from integration.shell import ClusterError


@contextmanager
def turn() -> Iterator[None]:
    """Have the cluster to oneself for as long as the block lasts; ClusterError if somebody else has."""
    RUN.mkdir(mode=0o711, parents=True, exist_ok=True)
    with open(RUN / "turn", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ClusterError("another demo or test run uses the cluster; run this again when it has ended") from None
        yield
