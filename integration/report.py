"""How the demo speaks: a line for each tenant while its application runs, and the table at the end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from integration.observe import Placement


class Board(Protocol):
    """Takes each tenant's newest state."""

    def show(self, tenant: str, state: str) -> None: ...


class Lines:
    """The board where no terminal is: a line whenever a state changes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: dict[str, str] = {}

    def show(self, tenant: str, state: str) -> None:
        if self._shown.get(tenant) != state:
            self._shown[tenant] = state
            self._console.print(f"  {tenant}: {state}")


class Spinners:
    """The board on a terminal: one line a tenant, rewritten in place."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, Any] = {}

    def show(self, tenant: str, state: str) -> None:
        if tenant not in self._tasks:
            self._tasks[tenant] = self._progress.add_task(tenant, total=None, state=state)
        self._progress.update(self._tasks[tenant], state=state)


@contextmanager
def board(console: Console) -> Iterator[Board]:
    """A board on `console` for as long as the block lasts."""
    if not console.is_terminal:
        yield Lines(console)
        return
    columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}: {task.fields[state]}"))
    with Progress(*columns, console=console) as progress:
        yield Spinners(progress)


def table(results: Sequence[Mapping[str, Any]], placements: Mapping[str, Placement]) -> Table:
    """What ran where: one row a container.

    `results` are the jobs' own (see jobs/tpch.py), `placements` go by YARN container id.
    """
    shown = Table(title="Containers", title_justify="left")
    for heading in ("node", "tenant", "application", "container", "role", "class", "kernel inside", "slot"):
        shown.add_column(heading)
    shown.add_column("ports")
    shown.add_column("remote shuffle", justify="right")
    for result in results:
        for facts in result["containers"]:
            place = placements[facts["container"]]
            shown.add_row(
                place.node,
                place.tenant,
                short(place.application),
                short(place.container),
                facts["role"].replace("driver", "AM"),
                place.runtime_class,
                facts["kernel"],
                f"{place.slot} ({facts['uid']})",
                f"{place.ports[0]}-{place.ports[1]}",
                f"{facts['remote_bytes']:,} B",
            )
        shown.add_section()
    return shown


def short(identifier: str) -> str:
    """A YARN id without the cluster's start time: application_1795190376517_0007 -> application_0007."""
    return re.sub(r"_\d{13}_", "_", identifier)
