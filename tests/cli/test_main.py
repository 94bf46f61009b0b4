"""The command line of people: help, wrong arguments, and what needs root."""

from __future__ import annotations

import os

import pytest

from yarn_kata_runtime.cli import reconciling
from yarn_kata_runtime.cli.main import main

Capture = pytest.CaptureFixture[str]
VERBS = {
    "create",
    "start",
    "state",
    "kill",
    "delete",
    "run",
    "exec",
    "ps",
    "list",
    "pause",
    "resume",
    "update",
}
VERBS |= {"events", "features", "spec"}
PEOPLES = ("containers", "routes", "slots", "config", "reconcile")


def leave(capsys: Capture, *argv: str) -> tuple[int | str | None, str, str]:
    with pytest.raises(SystemExit) as left:
        main([*argv])
    printed = capsys.readouterr()
    return left.value.code, printed.out, printed.err


class TestHelp:
    @pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
    def test_both_worlds(self, argv: list[str], capsys: Capture) -> None:
        code, text, errors = leave(capsys, *argv)
        assert (code, errors) == (0, "")
        people, engines = text.split("For container engines")
        assert "For people:" in people
        assert not VERBS - {word.strip(",;.") for word in engines.split()}
        assert {*PEOPLES} <= {line.split()[0] for line in people.splitlines() if line.startswith("    ")}
        for option in ("--root DIR", "--log FILE", "--log-format text|json", "--systemd-cgroup", "--debug"):
            assert option in engines
        assert "/etc/yarn-kata/config.toml" in engines and "/run/yarn-kata" in engines

    @pytest.mark.parametrize("command", PEOPLES)
    def test_each_command(self, command: str, capsys: Capture) -> None:
        code, text, errors = leave(capsys, command, "--help")
        assert (code, errors) == (0, "")
        assert text.startswith(f"usage: yarn-kata-runtime {command}")
        assert ("--json" in text) == (command != "config")


class TestWrongArguments:
    @pytest.mark.parametrize(
        "argv",
        [
            ["nonsense"],
            ["config"],
            ["config", "nonsense"],
            ["containers", "--yaml"],
            ["slots", "x"],
            ["--json"],
        ],
    )
    def test_usage(self, argv: list[str], capsys: Capture) -> None:
        code, text, errors = leave(capsys, *argv)
        assert (code, text) == (2, "")
        assert errors.startswith("usage: yarn-kata-runtime")


class TestReconcile:
    def test_not_without_root(self, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
        calls: list[str] = []
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        monkeypatch.setattr(reconciling, "run", lambda: calls.append("run"))
        assert main(["reconcile"]) == 1
        printed = capsys.readouterr()
        assert printed.err == "yarn-kata-runtime: reconcile changes what root holds; run it as root\n"
        assert (printed.out, calls) == ("", [])

    @pytest.mark.parametrize(
        ("done", "argv", "printed"),
        [
            ([], [], "nothing to do: the node's state is what lives\n"),
            (["gave back x", "gave back y"], [], "gave back x\ngave back y\n"),
            ([], ["--json"], "[]\n"),
            (["gave back x"], ["--json"], '[\n  "gave back x"\n]\n'),
        ],
    )
    def test_what_was_done(
        self, done: list[str], argv: list[str], printed: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(reconciling, "run", lambda: done)
        assert main(["reconcile", *argv]) == 0
        assert capsys.readouterr().out == printed
