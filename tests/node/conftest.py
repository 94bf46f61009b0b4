"""What the tests of the node's modules share."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def needs_root() -> None:
    """Mounts and owners need root: without, CI fails and a person's run says that it left these out."""
    if os.geteuid() == 0:
        return
    if "CI" in os.environ:
        pytest.fail("these tests need root; run the suite as root in CI")
    pytest.skip("needs root")
