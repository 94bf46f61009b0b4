"""A changed config.toml counts from the next container on, without a restart of anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from integration import nodes
from integration.cluster import Cluster
from integration.tests.containers import WAITING, Containers

pytestmark = pytest.mark.usefixtures("nothing_is_left")

CONFIG = "/etc/yarn-kata/config.toml"
Change = Callable[[str, str], None]


@pytest.fixture
def change(cluster: Cluster) -> Iterator[Change]:
    """Replaces what a pattern matches in the file of every node; the files are restored afterwards."""
    before = {node: cluster.exec(node, ["cat", CONFIG]).stdout for node in cluster.nodes}

    def replace(pattern: str, text: str) -> None:
        for node, content in before.items():
            changed, count = re.subn(pattern, text, content)
            assert count == 1
            write(node, changed)

    yield replace
    for node, content in before.items():
        write(node, content)


def write(node: str, content: str) -> None:
    """As an editor does it: a new file in the old one's place."""
    nodes.execute(node, ["dd", f"of={CONFIG}.new", "status=none"], stdin=content)
    nodes.execute(node, ["mv", f"{CONFIG}.new", CONFIG])


def test_without_a_free_slot_the_application_is_told_so(
    cluster: Cluster, containers: Containers, change: Change
) -> None:
    change(r"accounts = .*", 'accounts = ["slot1"]')
    running = containers.start_on_each_node("alice", WAITING)
    try:
        ended = containers.finish("bob", "true")
        assert "no slot is free for tenant 'bob': all 1 of this node are held (slot1 by alice)" in ended.diagnostics
    finally:
        for place in running:
            containers.kill(place)
    assert "exitCode: 0" in containers.finish("bob", "true").diagnostics


def test_an_invalid_file_refuses_containers_with_its_error(containers: Containers, change: Change) -> None:
    """Never the old policy silently."""
    change(r"accounts = .*", 'acounts = ["slot1"]')
    ended = containers.finish("alice", "exit 43")
    assert "exitCode: 43" not in ended.diagnostics
    assert "acounts" in ended.diagnostics
    assert CONFIG in ended.diagnostics


def test_a_restored_file_counts_again(containers: Containers) -> None:
    assert "exitCode: 43" in containers.finish("alice", "exit 43").diagnostics
