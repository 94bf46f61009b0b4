"""What this node holds, as tables or JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from yarn_kata_runtime import paths
from yarn_kata_runtime.node.store import Store
from yarn_kata_runtime.runtime import policy

if TYPE_CHECKING:
    from yarn_kata_runtime.node.store import Row

_NO_WIDTH = 100_000  # columns of what is no terminal


def containers(as_json: bool) -> int:
    """Print the live YARN containers."""
    rows = [
        {
            "id": row["id"],
            "container": row["container"],
            "application": row["application"],
            "tenant": row["tenant"],
            "user": row["user"],
            "class": row["class"],
            "slot": row["slot"],
            "uid": row["uid"],
            "ports": None if row["first_port"] is None else [row["first_port"], row["last_port"]],
            "address": row["address"],
            "created": row["created"],
        }
        for row in _rows()
    ]
    if as_json:
        return _print_json(rows)
    columns = ("container", "tenant", "user", "class", "slot", "ports", "address", "age")
    return _print_table(columns, ([_cell(row, column) for column in columns] for row in rows))


def routes(as_json: bool) -> int:
    """Print which ports lead where, as the node's state has it."""
    rows = [
        {
            "ports": [row["first_port"], row["last_port"]],
            "address": row["address"],
            "container": row["container"],
            "tenant": row["tenant"],
        }
        for row in _rows()
        if row["address"] and row["first_port"] is not None
    ]
    if as_json:
        return _print_json(rows)
    columns = ("ports", "address", "container", "tenant")
    return _print_table(columns, ([_cell(row, column) for column in columns] for row in rows))


def slots(as_json: bool) -> int:
    """Print every slot of the configuration, and of the node's state, with its tenant."""
    held = _held()
    configured = policy.load()["slots"]["accounts"]
    gone = [name for name in held if name not in {slot["account"] for slot in configured}]
    rows: list[dict[str, object]] = []
    for account, uid in [*((slot["account"], slot["uid"]) for slot in configured), *((name, None) for name in gone)]:
        using = held.get(account, [])
        rows.append(
            {
                "slot": account,
                "uid": uid if uid is not None else using[0]["uid"],
                "tenant": using[0]["tenant"] if using else None,
                "applications": sorted({row["application"] for row in using}),
                "containers": [row["container"] for row in using],
                "since": min((row["created"] for row in using), default=None),
            }
        )
    if as_json:
        return _print_json(rows)
    columns = ("slot", "uid", "tenant", "applications", "containers")
    return _print_table(columns, ([_cell(row, column) for column in columns] for row in rows))


def _rows() -> list[Row]:
    if not Path(paths.store()).exists():
        return []
    with Store(paths.store()) as store:
        return store.rows()


def _held() -> dict[str, list[Row]]:
    held: dict[str, list[Row]] = {}
    for row in _rows():
        if row["slot"]:
            held.setdefault(row["slot"], []).append(row)
    return held


def _cell(row: dict[str, object], column: str) -> str:
    if column == "age":
        created = row["created"]
        assert isinstance(created, float)
        return f"{time.time() - created:.0f} s"
    value = row[column]
    if column == "ports" and isinstance(value, list):
        return f"{value[0]}-{value[1]}"
    if isinstance(value, list):
        return "\n".join(map(_printable, value)) or "-"
    return "-" if value is None else _printable(value)


def _printable(value: object) -> str:
    """Return the value as text that does nothing to a terminal: users choose their names."""
    text = str(value)
    return text if text.isprintable() else ascii(text)


def _print_json(rows: list[dict[str, object]]) -> int:
    print(json.dumps(rows, indent=2))
    return 0


def _print_table(columns: tuple[str, ...], rows: Iterable[list[str]]) -> int:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.upper(), no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _NO_WIDTH  # programs cut lines themselves
    console.print(table)
    return 0
