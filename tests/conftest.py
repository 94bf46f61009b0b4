"""What all tests share: root where the kernel is asked, Hypothesis without clocks and files in the tree."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

settings.register_profile("suite", deadline=None, database=None)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def needs_root() -> None:
    """Mounts and owners need root: without, CI fails and a person's run says that it left these out."""
    if os.geteuid() == 0:
        return
    if "CI" in os.environ:
        pytest.fail("these tests need root; run the suite as root in CI")
    pytest.skip("needs root")
