"""Programs that are run: their outcome, and an end in any case."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from yarn_kata_runtime.node import programs
from yarn_kata_runtime.node.programs import run


def test_input_outputs_and_status() -> None:
    assert run(["/bin/sh", "-c", "cat; echo problem >&2; exit 3"], "text\n") == (3, "text\nproblem")


def test_more_input_than_a_pipe_holds() -> None:
    assert run(["/usr/bin/wc", "-c"], "x" * 1_000_000) == (0, "1000000")


def test_environment_is_not_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nonexistent")
    assert run(["/usr/bin/env"])[1].splitlines() == ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"]


def test_death_by_a_signal() -> None:
    assert run(["/bin/sh", "-c", "kill -9 $$"]) == (-9, "")


def test_missing_program() -> None:
    with pytest.raises(FileNotFoundError, match="/nonexistent"):
        run(["/nonexistent"])


def test_killed_when_it_does_not_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(programs, "_SECONDS", 0.2)
    with pytest.raises(TimeoutError, match="/bin/sh -c"):
        run(["/bin/sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60"])
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_leaves_no_descriptor_open() -> None:
    before = os.listdir("/proc/self/fd")
    run(["/bin/true"])
    assert os.listdir("/proc/self/fd") == before
