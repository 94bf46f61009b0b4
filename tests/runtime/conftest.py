"""A node for the tests of the verbs, and what each of them must leave: nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.harness import CONFIG, PrivateNode
from tests.runtime.refusals import Refusals


@pytest.fixture(scope="session")
def machine() -> Iterator[PrivateNode]:
    """One node for all; making namespaces and mounts needs root."""
    if os.geteuid() != 0:
        if "CI" in os.environ:
            pytest.fail("these tests need root; run the suite as root in CI")
        pytest.skip("needs root")
    with PrivateNode() as node:
        yield node


@pytest.fixture
def node(machine: PrivateNode) -> Iterator[PrivateNode]:
    """The node with its usual configuration; what a test has made is deleted, and nothing may be left."""
    machine.configure(CONFIG)
    machine.log.unlink(missing_ok=True)
    yield machine
    machine.delete_all()
    left = machine.leftovers()
    if left:
        machine.people("reconcile")  # for the tests that come after
    assert left == []


@pytest.fixture
def refused(node: PrivateNode) -> Refusals:
    """Calls on the node that must be refused."""
    return Refusals(node)
