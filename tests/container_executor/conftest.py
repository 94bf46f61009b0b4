"""Every test gets a node of its own, in which nothing has run."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.container_executor.node import Node


@pytest.fixture
def node() -> Iterator[Node]:
    assert os.geteuid() == 0, "container-executor is setuid root: its tests need root"
    made = Node()
    try:
        yield made
    finally:
        made.close()
