"""What people see of a node: the same in tables and in JSON, whole wherever it is sent."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import DRIVER, EXECUTOR, NOW, OTHER, ROWS, fill, row
from tests.config.examples import MINIMAL
from yarn_kata_runtime import paths
from yarn_kata_runtime.cli.main import main
from yarn_kata_runtime.config.compile import compile_file

Capture = pytest.CaptureFixture[str]
APPLICATION = "application_1795190376517_0001"
LISTINGS = ("containers", "routes", "slots")


def as_json(command: str, capsys: Capture) -> list[dict[str, Any]]:
    assert main([command, "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    found: list[dict[str, Any]] = json.loads(printed.out)
    return found


def as_table(command: str, capsys: Capture) -> list[list[str]]:
    """Return the table's cells, its head first."""
    assert main([command]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return [line.split() for line in printed.out.splitlines()]


class TestContainers:
    def test_json(self, filled: Path, capsys: Capture) -> None:
        first, second, third = as_json("containers", capsys)
        assert first == {
            "id": "0" * 64,
            "container": DRIVER,
            "application": APPLICATION,
            "tenant": "alice",
            "user": "alice",
            "class": "gvisor",
            "slot": "slot1",
            "uid": 6001,
            "ports": [16384, 16639],
            "address": "172.17.0.2",
            "created": NOW - 100,
        }
        assert (second["container"], second["ports"], second["address"]) == (EXECUTOR, [16640, 16895], None)
        assert (third["container"], third["ports"], third["slot"]) == (OTHER, None, "slot3")

    def test_table(self, filled: Path, capsys: Capture) -> None:
        head, *rows = as_table("containers", capsys)
        assert head == ["CONTAINER", "TENANT", "USER", "CLASS", "SLOT", "PORTS", "ADDRESS", "AGE"]
        assert [cells[:-2] for cells in rows] == [
            [DRIVER, "alice", "alice", "gvisor", "slot1", "16384-16639", "172.17.0.2"],
            [EXECUTOR, "alice", "alice", "gvisor", "slot1", "16640-16895", "-"],
            [OTHER, "bob", "bob", "gvisor", "slot3", "-", "172.17.0.4"],
        ]
        assert all(cells[-2].isdigit() and cells[-1] == "s" for cells in rows)

    def test_slots_off(self, write: Callable[[str], None], capsys: Capture) -> None:
        fill([row(0, DRIVER, "alice", slot=None, uid=5001)])
        (found,) = as_json("containers", capsys)
        assert (found["slot"], found["uid"]) == (None, 5001)
        assert as_table("containers", capsys)[1][4] == "-"


class TestRoutes:
    def test_json(self, filled: Path, capsys: Capture) -> None:
        """A container has a route once it has both ports and an address."""
        assert as_json("routes", capsys) == [
            {"ports": [16384, 16639], "address": "172.17.0.2", "container": DRIVER, "tenant": "alice"}
        ]

    def test_table(self, filled: Path, capsys: Capture) -> None:
        assert as_table("routes", capsys) == [
            ["PORTS", "ADDRESS", "CONTAINER", "TENANT"],
            ["16384-16639", "172.17.0.2", DRIVER, "alice"],
        ]


class TestSlots:
    def test_json(self, filled: Path, capsys: Capture) -> None:
        assert as_json("slots", capsys) == [
            {
                "slot": "slot1",
                "uid": 6001,
                "tenant": "alice",
                "applications": [APPLICATION],
                "containers": [DRIVER, EXECUTOR],
                "since": NOW - 100,
            },
            {
                "slot": "slot2",
                "uid": 6002,
                "tenant": None,
                "applications": [],
                "containers": [],
                "since": None,
            },
            {
                "slot": "slot3",
                "uid": 6003,
                "tenant": "bob",
                "applications": ["application_1795190376517_0002"],
                "containers": [OTHER],
                "since": NOW - 98,
            },
        ]

    def test_table(self, filled: Path, capsys: Capture) -> None:
        assert as_table("slots", capsys) == [
            ["SLOT", "UID", "TENANT", "APPLICATIONS", "CONTAINERS"],
            ["slot1", "6001", "alice", APPLICATION, DRIVER],
            [EXECUTOR],
            ["slot2", "6002", "-", "-", "-"],
            ["slot3", "6003", "bob", "application_1795190376517_0002", OTHER],
        ]

    def test_one_that_is_held_but_no_longer_configured(
        self, filled: Path, write: Callable[[str], None], capsys: Capture
    ) -> None:
        write(MINIMAL)
        compile_file()
        assert [(found["slot"], found["uid"], found["tenant"]) for found in as_json("slots", capsys)] == [
            ("slot1", 6001, "alice"),
            ("slot3", 6003, "bob"),
        ]

    def test_an_invalid_configuration(
        self, filled: Path, write: Callable[[str], None], capsys: Capture
    ) -> None:
        write("")
        compile_file()
        assert main(["slots"]) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith(f"yarn-kata-runtime: {paths.CONFIG} is not valid: node is missing; ")


class TestEmpty:
    @pytest.mark.parametrize("command", ["containers", "routes"])
    def test_a_node_that_ran_nothing_yet(self, command: str, config: Path, capsys: Capture) -> None:
        assert as_json(command, capsys) == []
        assert len(as_table(command, capsys)) == 1
        assert not Path(paths.RUN).exists(), "looking changes nothing"

    @pytest.mark.parametrize("command", LISTINGS)
    def test_a_damaged_state(self, command: str, filled: Path, capsys: Capture) -> None:
        for file in filled.glob("state.db*"):
            file.write_bytes(b"garbage" * 1000)
        assert main([command]) == 1
        printed = capsys.readouterr()
        assert printed.err.startswith(f"yarn-kata-runtime: the node's state {paths.store()} is damaged (")
        assert printed.err.endswith("yarn-kata-runtime reconcile\n") and printed.err.count("\n") == 1


class TestHostileNames:
    """Without Kerberos a user calls itself what it likes."""

    NAMES = (
        "[/red]",
        "[bold]x",
        ":smile:",
        "\x1b[2J\x1b]0;x\x07",
        "a\nb",
        "é",
        "\u202egnp.exe",
        "[link=http://x]y",
    )

    @pytest.mark.parametrize("name", NAMES)
    def test_tables_and_terminals_stay_whole(self, name: str, filled: Path, capsys: Capture) -> None:
        fill([row(7, OTHER, name, slot="slot2", uid=6002)])
        for command in LISTINGS:
            assert main([command]) == 0
            printed = capsys.readouterr().out
            assert (name if name.isprintable() else ascii(name)) in printed
            assert printed.replace("\n", "").isprintable()
            assert any(found["tenant"] == name for found in as_json(command, capsys))


class TestPipe:
    PROGRAM = (
        "import sys; from yarn_kata_runtime import paths; paths.CONFIG, paths.RUN = sys.argv[1:3]; "
        "from yarn_kata_runtime.cli.main import main; sys.exit(main(sys.argv[3:]))"
    )

    def piped(self, *arguments: str) -> str:
        root = Path(__file__).parent.parent.parent
        argv = [sys.executable, "-c", self.PROGRAM, paths.CONFIG, paths.RUN, *arguments]
        environment = {"PATH": "/usr/bin:/bin", "COLUMNS": "20", "TERM": "dumb", "LANG": "C.UTF-8"}
        done = subprocess.run(argv, cwd=root, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    @pytest.mark.parametrize("command", ["containers", "routes"])
    def test_nothing_is_cut(self, command: str, filled: Path) -> None:
        long = "u" * 3000
        fill([row(7, OTHER, long, slot="slot2", uid=6002)])
        printed = self.piped(command)
        assert long in printed and "…" not in printed and "\x1b" not in printed
        assert len(printed.splitlines()) == (5 if command == "containers" else 3)

    def test_json(self, filled: Path) -> None:
        assert [found["container"] for found in json.loads(self.piped("containers", "--json"))] == [
            str(given["container"]) for given in ROWS
        ]
