"""Errors where engines look for them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yarn_kata_runtime.runtime.call import Call
from yarn_kata_runtime.runtime.report import failure


def _call(log: Path, log_format: str) -> Call:
    return Call(["--log", str(log), f"--log-format={log_format}", "create", "c"], 3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_message_is_one_line_of_the_log(tmp_path: Path, message: str) -> None:
    log = tmp_path / "log"
    log.unlink(missing_ok=True)
    failure(_call(log, "json"), message)
    failure(_call(log, "text"), message)
    in_json, in_text = log.read_text().splitlines()
    entry = json.loads(in_json)
    assert (entry["level"], entry["msg"]) == ("error", " ".join(message.split()))
    assert json.loads(in_text.partition(" msg=")[2]) == entry["msg"]
    assert in_text.startswith(f'time="{entry["time"][:4]}')


def test_the_log_is_added_to(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    failure(_call(log, "json"), "after")
    assert [line.partition('"msg":')[2][:7] for line in log.read_text().splitlines()] == ["", '"after"']


def test_without_a_log_there_is_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    failure(Call(["create", "c"], 0), "it went wrong")
    assert capfd.readouterr().err == "yarn-kata-runtime: it went wrong\n"


@pytest.mark.parametrize("kind", ["missing-folder", "folder"])
def test_a_log_that_cannot_be_written_hides_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    log = tmp_path if kind == "folder" else tmp_path / "none" / "log"
    failure(_call(log, "json"), "it went wrong")
    err = capfd.readouterr().err
    assert "it went wrong" in err and str(log) in err


def test_a_fifo_as_log_is_not_waited_for(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    failure(_call(fifo, "json"), "it went wrong")
    assert "it went wrong" in capfd.readouterr().err


def test_a_full_disk_hides_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    failure(_call(Path("/dev/full"), "json"), "it went wrong")
    assert "it went wrong" in capfd.readouterr().err
