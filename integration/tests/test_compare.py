"""The comparison itself notices what is wrong; no cluster is needed for it."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

from integration.compare import differences

EXPECTED = {"q01": [("A", Decimal("10.50"), 3, datetime.date(1995, 3, 15), 0.05008133906964238)]}


def test_equal_rows_do_not_differ() -> None:
    """Dates come as text, decimals as floats, and Spark's averages of decimals are rounded."""
    assert differences(EXPECTED, {"q01": [["A", 10.5, 3, "1995-03-15", 0.050081]]}) == []


@pytest.mark.parametrize(
    "row",
    [
        ["B", 10.5, 3, "1995-03-15", 0.050081],
        ["A", 10.51, 3, "1995-03-15", 0.050081],
        ["A", 10.5, None, "1995-03-15", 0.050081],
        ["A", 10.5, 3, "1995-03-16", 0.050081],
        ["A", 10.5, 3, "1995-03-15", 0.0502],
        ["A", 10.5, 3, "1995-03-15"],
    ],
)
def test_another_value_differs(row: list[object]) -> None:
    (sentence,) = differences(EXPECTED, {"q01": [row]})
    assert sentence.startswith("q01: row 1 is ")


def test_missing_and_surplus_rows_and_queries_differ() -> None:
    assert differences(EXPECTED, {"q01": []}) == ["q01: 0 rows where DuckDB has 1"]
    assert differences(EXPECTED, {}) == ["q01: not answered"]
    assert differences({}, {"q99": []}) == ["q99: answered, but there is no such query"]
