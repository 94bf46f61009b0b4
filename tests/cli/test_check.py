"""`config check`: what is wrong, or what the file comes to; and its exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.config.conftest import Accounts
from tests.config.examples import FULL, MINIMAL, changed
from yarn_kata_runtime import paths
from yarn_kata_runtime.cli.main import main

Write = Callable[[str], None]
Capture = pytest.CaptureFixture[str]


def minimal(folder: Path) -> str:
    """Return a configuration whose folders are there."""
    for name in ("local", "log"):
        (folder / name).mkdir(exist_ok=True)
    return MINIMAL.replace("/data/", f"{folder}/")


def check(capsys: Capture) -> tuple[int, list[str], list[str]]:
    code = main(["config", "check"])
    printed = capsys.readouterr()
    return code, printed.out.splitlines(), printed.err.splitlines()


def test_a_valid_file(write: Write, tmp_path: Path, capsys: Capture) -> None:
    write(minimal(tmp_path))
    assert check(capsys) == (
        0,
        [
            f"{paths.CONFIG} is valid",
            "tenant  each of them: users alice in class runc",
            "class   runc: /usr/bin/true",
            "foreign runc",
            "slots   1",
            "ports   64 blocks of 256",
        ],
        [],
    )
    assert not Path(paths.RUN).exists(), "checking changes nothing"


def test_slots_and_ports_off(write: Write, tmp_path: Path, capsys: Capture) -> None:
    text = changed(minimal(tmp_path), 'accounts = ["slot1"]', 'mode = "off"\n[ports]\nmode = "off"')
    write(changed(text, 'class = "runc"', 'class = "runc"\nname = "staff"'))
    code, printed, errors = check(capsys)
    assert (code, errors) == (0, [])
    assert printed[1] == "tenant  staff: users alice in class runc"
    assert printed[-2:] == ["slots   off", "ports   off"]


def test_each_mistake_has_a_line(write: Write, capsys: Capture) -> None:
    write(changed(changed(FULL, "pids = 4096", "pids = -1"), 'foreign = "plain"', "foreign = 1"))
    assert check(capsys) == (
        1,
        [],
        [
            f"{paths.CONFIG}: classes.gvisor.pids is -1; input should be greater than or equal to 0",
            f"{paths.CONFIG}: foreign is 1; input should be a valid string",
        ],
    )


def test_a_missing_account(write: Write, accounts: Accounts, tmp_path: Path, capsys: Capture) -> None:
    """The sentence has a semicolon of its own, and stays one line."""
    del accounts.uids["slot1"]
    write(minimal(tmp_path))
    error = f"{paths.CONFIG}: slots.accounts: there is no account 'slot1' on this node; create it"
    assert check(capsys) == (1, [], [error])


def test_no_file(config: Path, capsys: Capture) -> None:
    code, printed, (error,) = check(capsys)
    assert (code, printed) == (1, [])
    assert error == f"{config}: there is no {config}; write one, docs/configuration.md has an example"


@pytest.mark.parametrize("runtime", ["/usr/bin/there-is-none", "/etc/passwd", "/usr/bin"])
def test_a_runtime_that_cannot_be_executed(
    runtime: str, write: Write, tmp_path: Path, capsys: Capture
) -> None:
    write(changed(minimal(tmp_path), "/usr/bin/true", runtime))
    code, printed, errors = check(capsys)
    assert (code, errors) == (1, [f"classes.runc.path: {runtime} cannot be executed; install it"])
    assert f"{paths.CONFIG} is valid" not in printed


def test_folders_that_are_not_there(write: Write, tmp_path: Path, capsys: Capture) -> None:
    write(minimal(tmp_path))
    (tmp_path / "log").rmdir()
    code, _, errors = check(capsys)
    assert (code, errors) == (
        1,
        [f"node: there is no folder {tmp_path}/log; name the folders of yarn-site.xml"],
    )
