"""The answers that DuckDB gives over the same files, and where a job's answers differ from them."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

Rows = Sequence[Sequence[Any]]

# Spark rounds the average of a decimal to four places more than the decimal has; sums are exact in both.
ABSOLUTE_TOLERANCE = 1e-6
RELATIVE_TOLERANCE = 1e-9


def reference(data: Path, queries: Path) -> dict[str, Rows]:
    """Query name -> DuckDB's rows for each `<name>.sql` in `queries` over `data/<table>/*.parquet`."""
    with duckdb.connect() as connection:
        for table in sorted(data.iterdir()):
            connection.read_parquet(str(table / "*.parquet")).create_view(table.name)
        return {query.stem: connection.execute(query.read_text()).fetchall() for query in sorted(queries.glob("*.sql"))}


def differences(expected: Mapping[str, Rows], got: Mapping[str, Rows]) -> list[str]:
    """One sentence for each query whose rows in `got` (JSON values) are not those of `expected`.

    The queries' own ordering is total, so that rows are compared in order.
    """
    found = []
    for name in sorted(expected.keys() | got.keys()):
        if name not in got:
            found.append(f"{name}: not answered")
        elif name not in expected:
            found.append(f"{name}: answered, but there is no such query")
        elif sentence := first_difference(expected[name], got[name]):
            found.append(f"{name}: {sentence}")
    return found


def first_difference(expected: Rows, got: Rows) -> str | None:
    """Where `got` departs from `expected` first, None if nowhere."""
    if len(expected) != len(got):
        return f"{len(got)} rows where DuckDB has {len(expected)}"
    for number, (wanted, row) in enumerate(zip(expected, got, strict=True), start=1):
        if len(wanted) != len(row) or not all(map(same, wanted, row)):
            return f"row {number} is {list(row)} where DuckDB has {list(wanted)}"
    return None


def same(wanted: Any, value: Any) -> bool:
    """Whether the JSON value `value` is DuckDB's `wanted`: dates as ISO text, numbers within tolerance."""
    if isinstance(wanted, datetime.date):
        return bool(value == wanted.isoformat())
    if isinstance(wanted, int | float | decimal.Decimal):
        return isinstance(value, int | float) and math.isclose(
            wanted, value, rel_tol=RELATIVE_TOLERANCE, abs_tol=ABSOLUTE_TOLERANCE
        )
    return bool(value == wanted)
