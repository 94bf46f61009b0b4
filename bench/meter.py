"""What commands cost, told by a small process of its own beside them (`bench.metering`)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.harness import PrivateNode

_SERVER = Path(__file__).with_name("metering.py")


class Cost(NamedTuple):
    """CPU (user and system, of every process that ended meanwhile) and wall time, milliseconds."""

    cpu: float
    wall: float

    def __add__(self, other: object) -> Cost:
        if not isinstance(other, Cost):
            return NotImplemented
        return Cost(self.cpu + other.cpu, self.wall + other.wall)


NOTHING = Cost(0.0, 0.0)


class Failed(RuntimeError):
    """A measured command that ended with another code than 0; the text has its standard error."""


class Meter:
    """A meter in a node, or with None on this machine; a context manager."""

    def __init__(self, node: PrivateNode | None) -> None:
        argv = [sys.executable, "-IS", str(_SERVER)]
        if node:
            argv = node.inside(argv)
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    @property
    def pid(self) -> int:
        """The meter's own process."""
        return self._process.pid

    def run(self, argv: Sequence[str], env: Mapping[str, str] | None = None, cwd: str = "/") -> Cost:
        """Run a command and return what it cost; Failed if it fails."""
        return self._ask({"argv": argv, "env": env or {}, "cwd": cwd})

    def reap(self) -> Cost:
        """Wait until everything that commands left behind has ended and return what it cost."""
        return self._ask({})

    def _ask(self, question: Mapping[str, Any]) -> Cost:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise Failed(answer["error"])
        return Cost(*answer["cost"])
