"""What a verb pays before it does anything: `python -m bench.startup`.

The launcher, the interpreter in its isolated form and others, and what common modules add to it.
"""

from __future__ import annotations

from statistics import median

from rich.console import Console
from rich.table import Table

from bench.meter import Meter
from tests.harness import PACKAGE, install
from yarn_kata_runtime.native.build import base_interpreter

ROUNDS = 31
_PACKAGE_PATH = f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r})"
# the modules that one could have taken, then those that were
_MODULES = ("json", "sqlite3", "_sqlite3", "ctypes", "subprocess", "argparse", "pathlib", "dataclasses")
_OWN = ("plainjson", "node.sqlite", "node.syscalls", "runtime.create", "runtime.start", "runtime.release")


def commands() -> dict[str, list[str]]:
    """Return what is measured, name -> arguments."""
    launcher, python = str(install()), base_interpreter()
    isolated = [python, "-IS", "-c"]
    named = {
        "launcher": [launcher, "--version"],
        "python -IS": [*isolated, "pass"],
        "python -I (with site)": [python, "-I", "-c", "pass"],
        "python -IS, no teardown": [*isolated, "import posix; posix._exit(0)"],
        "python -IS, no teardown, os": [*isolated, "import os; os._exit(0)"],
    }
    for module in _MODULES:
        named[f"... and {module}"] = [*isolated, f"import os, {module}; os._exit(0)"]
    for module in _OWN:
        load = f"{_PACKAGE_PATH}; import os, yarn_kata_runtime.{module}; os._exit(0)"
        named[f"... and our {module}"] = [*isolated, load]
    return named


def main() -> None:
    """Measure in turns and print a table of medians."""
    costs: dict[str, list[float]] = {}
    with Meter(None) as meter:
        for _ in range(ROUNDS):
            for name, argv in commands().items():
                costs.setdefault(name, []).append(meter.run(argv).cpu)
    table = Table("", title=f"start-up, CPU ms (medians of {ROUNDS})", title_justify="left")
    table.add_column("", justify="right")
    for name, found in costs.items():
        table.add_row(name, f"{median(found):.1f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
