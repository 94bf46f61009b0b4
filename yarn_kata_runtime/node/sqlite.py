"""SQLite by the interpreter's C module alone, and that one without `functools`.

`_sqlite3` takes lru_cache from there, to keep prepared statements by their text.  Importing functools, and
collections with it, costs a verb 2 ms of CPU; preparing its handful of statements costs nothing to speak of.
"""

from __future__ import annotations

import sys

__all__ = ["Connection", "Error", "connect"]


class _NoCache:
    """What `_sqlite3` finds in place of functools."""

    @staticmethod
    def lru_cache(_: int) -> object:
        return lambda prepare: prepare


if "functools" in sys.modules:
    from _sqlite3 import Connection, Error, connect
else:
    sys.modules["functools"] = _NoCache  # type: ignore[assignment]
    from _sqlite3 import Connection, Error, connect

    del sys.modules["functools"]
