"""Only what was started here is stopped."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration import engine


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(engine, "RUN", tmp_path)
    monkeypatch.setattr(engine, "CONTAINERD_SOCKET", tmp_path / "containerd.sock")
    return tmp_path


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_process_of_ours_is_stopped(run_folder: Path) -> None:
    engine._spawn("dockerd", ["sleep", "60"])
    pid = int((run_folder / "dockerd.pid").read_text().split()[0])
    engine._stop_processes()
    assert engine._start_time(pid) == ""
    assert not (run_folder / "dockerd.pid").exists()


def test_a_process_that_has_our_old_pid_is_left_alone(run_folder: Path, sleeper: subprocess.Popen[bytes]) -> None:
    (run_folder / "dockerd.pid").write_text(f"{sleeper.pid} 1\n")
    engine._stop_processes()
    assert sleeper.poll() is None
    assert not (run_folder / "dockerd.pid").exists()


def test_nothing_to_stop(run_folder: Path) -> None:
    engine._stop_processes()
    assert list(run_folder.iterdir()) == []
