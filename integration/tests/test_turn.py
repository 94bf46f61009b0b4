"""Two runs at once do not take each other's cluster down; no cluster is needed for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration import turn
from integration.shell import ClusterError


def test_the_second_is_told_and_the_next_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "RUN", tmp_path)
    with turn.turn(), pytest.raises(ClusterError, match="another demo or test run uses the cluster"), turn.turn():
        pytest.fail("two have the cluster at once")
    with turn.turn():
        assert (tmp_path / "turn").exists()
