"""What may import what: the hot path stays cheap, and layers point downwards."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).parent.parent
PACKAGE = REPO / "yarn_kata_runtime"
HOT = ("runtime", "container", "node")  # each verb is a new process that imports some of these

# Modules of the standard library whose import costs a verb too much.
DEAR = {
    *(
        "argparse",
        "collections",
        "dataclasses",
        "enum",
        "functools",
        "json",
        "logging",
        "pathlib",
        "re",
        "shutil",
    ),
    *("socket", "sqlite3", "subprocess", "tempfile", "typing"),
}
BELOW = {  # room -> the rooms that it may import from, besides the package's own modules
    "container": {"container"},
    "node": {"node"},
    "runtime": {"runtime", "container", "node"},
    "config": {"config", "runtime", "container", "node"},
    "cli": {"cli", "config", "runtime", "container", "node"},
}


def modules(room: str) -> list[str]:
    """Return the dotted names of a room's modules, without the verb `list`, which is for people."""
    files = sorted((PACKAGE / room).rglob("*.py"))
    names = [".".join(file.relative_to(REPO).with_suffix("").parts) for file in files]
    return [
        name.removesuffix(".__init__")
        for name in names
        if not name.endswith(("runtime.entry", "runtime.list"))
    ]


def imported(file: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports, those for the type checker alone aside."""
    stack: list[ast.AST] = [ast.parse(file.read_text())]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = (
                ".".join((*file.relative_to(REPO).parts[: -node.level], node.module or ""))
                if node.level
                else ""
            )
            yield from (f"{base or node.module}.{alias.name}" for alias in node.names)
        stack += ast.iter_child_nodes(node)


@pytest.mark.parametrize("room", HOT)
def test_the_hot_path_imports_nothing_dear(room: str) -> None:
    """All modules of a room at once, in an interpreter as the launcher starts it."""
    program = f"import sys; sys.path.insert(0, {str(REPO)!r}); before = set(sys.modules)\n"
    program += "".join(f"import {name}\n" for name in modules(room))
    program += "print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-IS", "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert f"yarn_kata_runtime.{room}" in loaded
    assert not loaded & DEAR
    assert not {name for name in loaded if name.startswith(("pydantic", "rich", "yarn_kata_runtime.cl"))}


@pytest.mark.parametrize("room", BELOW)
def test_imports_point_downwards(room: str) -> None:
    wrong = []
    for file in (PACKAGE / room).rglob("*.py"):
        for name in imported(file):
            parts = name.split(".")
            if parts[0] == "yarn_kata_runtime" and parts[1] in BELOW and parts[1] not in BELOW[room]:
                wrong.append(f"{file.relative_to(REPO)} imports {name}")
    assert wrong == []
