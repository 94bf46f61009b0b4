"""`list`: the containers of every runtime below that were made under the caller's --root, as runc prints them."""

from __future__ import annotations

import json

from yarn_kata_runtime import paths
from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.runtime import record
from yarn_kata_runtime.runtime.drivers import oci
from yarn_kata_runtime.runtime.policy import load
from yarn_kata_runtime.runtime.release import listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from yarn_kata_runtime.runtime.call import Call

_LIST_SECONDS = 30.0
_COLUMNS = ("id", "pid", "status", "bundle", "created", "owner")


def list_containers(call: Call) -> int:
    """Print the containers in the form asked for: a table, JSON, or ids alone."""
    states = [state for delegate in _delegates(call) for state in _listed(delegate, call)]
    states.sort(key=lambda state: str(state.get("created")))
    if call.option("quiet", "q") is not None:
        print("".join(f"{state['id']}\n" for state in states), end="")
    elif call.option("format", "f") == "json":
        print(json.dumps(states))
    else:
        _print_table(states)
    return 0


def _delegates(call: Call) -> list[list[str]]:
    """Return each runtime that made one of the caller's containers, the foreign class's first."""
    found = [load()["foreign"]["argv"]]
    for key in listed(paths.containers()):
        kept = record.read(key)
        if kept and kept.root == call.global_option("root") and kept.argv not in found:
            found.append(kept.argv)
    return found


def _listed(delegate: list[str], call: Call) -> list[dict[str, Any]]:
    text = oci.output(delegate, call.asking("list", "--format", "json"), _LIST_SECONDS)
    if text is None:
        raise Refused(f"{delegate[0]} does not list its containers; try it by hand: {' '.join(delegate)} list")
    states: list[dict[str, Any]] | None = json.loads(text or b"null")
    return states or []


def _print_table(states: list[dict[str, Any]]) -> None:
    rows = [[str(state.get(column, "")) for column in _COLUMNS] for state in states]
    rows.insert(0, [column.upper() for column in _COLUMNS])
    widths = [max(len(row[index]) for row in rows) for index in range(len(_COLUMNS))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
