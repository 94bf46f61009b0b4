"""Every test gets a node of its own, in which nothing has run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.container_executor.node import Node


@pytest.fixture
def node(needs_root: None) -> Iterator[Node]:
    made = Node()
    try:
        yield made
    finally:
        made.close()
