"""A node with three containers of two tenants, in a state of the test's own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.config.conftest import accounts, config, write
from tests.config.examples import MINIMAL, changed
from yarn_kata_runtime import paths
from yarn_kata_runtime.config.compile import compile_file
from yarn_kata_runtime.node.store import COLUMNS, Store

__all__ = ["accounts", "config", "filled", "write"]

SLOTS = 'accounts = ["slot1", "slot2", "slot3"]'
DRIVER = "container_e17_1795190376517_0001_01_000001"
EXECUTOR = "container_e17_1795190376517_0001_01_000002"
OTHER = "container_1795190376517_0002_01_000001"
NOW = time.time()


def row(number: int, container: str, tenant: str, **changes: object) -> dict[str, object]:
    """Return a container's row as column -> value."""
    application = "application_1795190376517_" + container.split("_")[-3]
    given: dict[str, object] = {
        "key": f"{number:064x}@0",
        "id": f"{number:064x}",
        "container": container,
        "application": application,
        "tenant": tenant,
        "user": tenant,
        "class": "gvisor",
        "bundle": f"/run/bundle/{number}",
        "pid_file": "",
        "slot": "slot1",
        "uid": 6001,
        "gid": 6001,
        "first_port": 16384 + 256 * number,
        "last_port": 16384 + 256 * number + 255,
        "address": f"172.17.0.{number + 2}",
        "created": NOW - 100 + number,
    }
    return given | changes


ROWS = [
    row(0, DRIVER, "alice"),
    row(1, EXECUTOR, "alice", address=None),
    row(2, OTHER, "bob", slot="slot3", uid=6003, gid=6003, first_port=None, last_port=None),
]


def fill(rows: list[dict[str, object]]) -> None:
    """Put rows into the node's state."""
    os.makedirs(paths.RUN, exist_ok=True)
    with Store(paths.store()) as store:
        for given in rows:
            store.insert([given[column] for column in COLUMNS])


@pytest.fixture
def filled(write: Callable[[str], None]) -> Path:
    """The folder of a node's state, with a compiled configuration and the containers of ROWS."""
    write(changed(MINIMAL, 'accounts = ["slot1"]', SLOTS))
    compile_file()
    fill(ROWS)
    return Path(paths.RUN)
