"""What the demo prints; no cluster is needed for it."""

from __future__ import annotations

import io

from rich.console import Console

from integration.observe import Placement
from integration.report import board, short, table

CONTAINER = "container_e17_1795190376517_0007_01_000002"
PLACE = Placement(
    node="node2",
    id="f7fb67af43a1",
    container=CONTAINER,
    application="application_1795190376517_0007",
    tenant="alice",
    user="alice",
    runtime_class="gvisor",
    slot="slot3",
    uid=6003,
    ports=(16384, 16639),
    address="172.17.0.2",
)


def printed_by(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_ids_lose_the_clusters_start_time_only() -> None:
    assert short("application_1795190376517_0007") == "application_0007"
    assert short(CONTAINER) == "container_e17_0007_01_000002"


def test_each_container_is_a_row() -> None:
    console = Console(file=io.StringIO(), width=200)
    facts = {"container": CONTAINER, "role": "driver", "kernel": "4.19.0-gvisor", "uid": 6003, "remote_bytes": 1234567}
    console.print(table([{"containers": [facts]}], {CONTAINER: PLACE}))
    (row,) = [line for line in printed_by(console).splitlines() if "alice" in line]
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "node2",
        "alice",
        "application_0007",
        "container_e17_0007_01_000002",
        "AM",
        "gvisor",
        "4.19.0-gvisor",
        "slot3 (6003)",
        "16384-16639",
        "1,234,567 B",
    ]


def test_without_a_terminal_a_state_is_a_plain_line_and_said_once() -> None:
    console = Console(file=io.StringIO(), width=200)
    with board(console) as lines:
        for state in ("accepted", "accepted", "running"):
            lines.show("alice", state)
    assert printed_by(console) == "  alice: accepted\n  alice: running\n"


def test_a_terminal_gets_a_line_that_is_rewritten() -> None:
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
    with board(console) as spinners:
        spinners.show("alice", "accepted")
        spinners.show("alice", "finished")
    assert "alice: finished" in printed_by(console)
    assert "\x1b[" in printed_by(console)  # the cursor's way back
