"""What this node's live YARN containers hold: one SQLite file below /run, one transaction a change.

A slot is held by a tenant as long as a row of the tenant names it, a port block as long as a row has it:
there is nothing else to give back, so nothing can be lost between two tables.
"""

from __future__ import annotations

import os

from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.node.sqlite import Connection, Error, connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from yarn_kata_runtime.compiled import Ports, Slot

    Row = dict[str, Any]

COLUMNS = (
    "key",  # the record's folder below containers/
    "id",  # OCI id, as the caller names it
    "container",
    "application",
    "tenant",
    "user",
    "class",
    "bundle",
    "pid_file",  # as the caller gave it to create, "" if it gave none
    "slot",  # account, NULL without slots
    "uid",  # of the slot, or of the YARN user
    "gid",
    "first_port",  # of the block, NULL without one
    "last_port",
    "address",  # NULL until start, and where there is no network
    "created",  # seconds since the epoch
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS containers (
    key TEXT PRIMARY KEY, id TEXT NOT NULL,
    container TEXT NOT NULL, application TEXT NOT NULL, tenant TEXT NOT NULL, user TEXT NOT NULL,
    class TEXT NOT NULL, bundle TEXT NOT NULL, pid_file TEXT NOT NULL,
    slot TEXT, uid INTEGER NOT NULL, gid INTEGER NOT NULL,
    first_port INTEGER UNIQUE, last_port INTEGER, address TEXT, created REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_slot ON containers (slot, tenant);
CREATE TABLE IF NOT EXISTS last_block (one INTEGER PRIMARY KEY CHECK (one = 1), first_port INTEGER NOT NULL);
INSERT OR IGNORE INTO last_block VALUES (1, 0);
"""
_VERSION = 1
_WAIT_SECONDS = 10.0


class Damaged(Refused):
    """The file is no store, or its content contradicts itself."""


class Claim:
    """What a container asks the node for; `claimed` fills in the rest."""

    __slots__ = (
        "application",
        "bundle",
        "container",
        "id",
        "key",
        "max_containers",
        "pid_file",
        "runtime_class",
        "tenant",
        "user",
    )

    def __init__(
        self,
        key: str,
        oci_id: str,
        bundle: str,
        pid_file: str,
        container: str,
        application: str,
        tenant: str,
        user: str,
        runtime_class: str,
        max_containers: int,
    ) -> None:
        self.key = key
        self.id = oci_id
        self.bundle = bundle
        self.pid_file = pid_file
        self.container = container
        self.application = application
        self.tenant = tenant
        self.user = user
        self.runtime_class = runtime_class
        self.max_containers = max_containers


class Held:
    """What a container got: a slot (None = slots are off) and the first port of its block (None = none)."""

    __slots__ = ("first_port", "slot")

    def __init__(self, slot: Slot | None, first_port: int | None) -> None:
        self.slot = slot
        self.first_port = first_port


class Store:
    """The open file; use as a context manager.

    Every method raises Refused where the file is locked for over 10 s or the disk is full, Damaged where
    it is corrupted.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._db = self._opened()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def _opened(self) -> Connection:
        try:
            db = connect(self._path, _WAIT_SECONDS, 0, None)
        except Error as error:
            raise self._trouble(error) from None
        try:
            self._begun = db.execute("PRAGMA user_version").fetchone()[0] == _VERSION
            if not self._begun:
                os.chmod(self._path, 0o600)
                db.executescript("PRAGMA journal_mode = WAL;" + _SCHEMA)
            db.execute("PRAGMA synchronous = OFF")  # it dies with the boot: nothing to outlive a power cut
        except Error as error:
            db.close()
            raise self._trouble(error) from None
        return db

    def _trouble(self, error: Error) -> Refused:
        if error.sqlite_errorname.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return Damaged(f"the node's state {self._path} is damaged ({error}); run yarn-kata-runtime reconcile")
        return Refused(f"the node's state {self._path} cannot be used ({error}); free its disk, or end what locks it")

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        try:
            return list(self._db.execute(statement, tuple(values)))
        except Error as error:
            raise self._trouble(error) from None

    def transaction(self) -> _Transaction:
        """Return a context manager in which nobody else changes the file; what it did is undone on an error."""
        return _Transaction(self)

    def begin(self, lost: Callable[[], bool]) -> None:
        """Take a new file into use: to be called before something is claimed, or when all is noted again.

        Raises Damaged if `lost` says that there are containers which a file before this one knew of.
        """
        if self._begun:
            return
        with self.transaction():  # of those that come at once, one looks
            ((version,),) = self.execute("PRAGMA user_version")
            if version != _VERSION and lost():
                raise Damaged(f"the node's state {self._path} has lost its containers; run yarn-kata-runtime reconcile")
            self.execute(f"PRAGMA user_version = {_VERSION}")
        self._begun = True

    def check(self) -> None:
        """Raise Damaged if it is."""
        ((result,),) = self.execute("PRAGMA quick_check(1)")
        if result != "ok":
            raise Damaged(f"the node's state {self._path} is damaged ({result}); run yarn-kata-runtime reconcile")

    def claim(
        self,
        claim: Claim,
        slots: Sequence[Slot] | None,
        owner: tuple[int, int],
        ports: Ports | None,
        free_block: Callable[[int, int, int, set[int], int], int | None],
        now: float,
    ) -> Held:
        """Take a slot and a port block for a container, both or neither.

        `slots` None: no slots, the container runs as `owner` (uid, gid).  `ports` None: no block.
        Raises Refused where none is free, or the tenant has as many containers as it may.
        """
        with self.transaction():
            self._check_limit(claim)
            slot = None if slots is None else self._slot(claim.tenant, slots)
            first_port = None if ports is None else self._block(claim, ports, free_block)
            last_port = None if first_port is None or ports is None else first_port + ports["block"] - 1
            uid, gid = (slot["uid"], slot["gid"]) if slot else owner
            account = slot["account"] if slot else None
            whose = [claim.key, claim.id, claim.container, claim.application, claim.tenant, claim.user]
            where = [claim.runtime_class, claim.bundle, claim.pid_file]
            self.insert([*whose, *where, account, uid, gid, first_port, last_port, None, now])
        return Held(slot, first_port)

    def insert(self, row: Sequence[object]) -> None:
        """Add a row, its values in the order of COLUMNS; Refused if the key or the block is taken."""
        self.execute(f"INSERT INTO containers VALUES ({','.join('?' * len(COLUMNS))})", row)

    def _check_limit(self, claim: Claim) -> None:
        if not claim.max_containers:
            return
        ((count,),) = self.execute("SELECT count(*) FROM containers WHERE tenant = ?", (claim.tenant,))
        if count >= claim.max_containers:
            raise Refused(
                f"tenant {claim.tenant!r} has {count} containers on this node, as many as its max_containers allows; "
                "the launch can be tried again when one has ended"
            )

    def _slot(self, tenant: str, slots: Sequence[Slot]) -> Slot:
        by_account = {slot["account"]: slot for slot in slots}
        rows = self.execute("SELECT DISTINCT slot, tenant FROM containers WHERE slot IS NOT NULL")
        holders = {account: holder for account, holder in rows}
        for account, holder in holders.items():
            if holder == tenant and account in by_account:
                return by_account[account]
        for account, slot in by_account.items():
            if account not in holders:
                return slot
        held = ", ".join(f"{account} by {holders[account]}" for account in by_account)
        raise Refused(
            f"no slot is free for tenant {tenant!r}: all {len(slots)} of this node are held ({held}); "
            "the launch can be tried again, or the administrator adds slots"
        )

    def _block(
        self, claim: Claim, ports: Ports, free_block: Callable[[int, int, int, set[int], int], int | None]
    ) -> int:
        rows = self.execute("SELECT first_port FROM containers WHERE first_port IS NOT NULL")
        taken = {first for (first,) in rows}
        ((last,),) = self.execute("SELECT first_port FROM last_block")
        first = free_block(ports["first"], ports["last"], ports["block"], taken, last)
        if first is None:
            raise Refused(
                f"no block of {ports['block']} ports is free for {claim.container}: {len(taken)} are held and the rest "
                f"of {ports['first']}-{ports['last']} is in use on this node; widen ports.pool or lower ports.block"
            )
        self.execute("UPDATE last_block SET first_port = ?", (first,))
        return first

    def set_address(self, key: str, address: str) -> None:
        """Note the container's IPv4 address."""
        self.execute("UPDATE containers SET address = ? WHERE key = ?", (address, key))

    def release(self, key: str, last_of_slot: Callable[[str], None]) -> None:
        """Forget the container, and with it what it held; an unknown key is none.

        `last_of_slot` is called with the slot's account when no other container runs in it, while nobody
        can claim it.
        """
        with self.transaction():
            row = self.row(key)
            self.execute("DELETE FROM containers WHERE key = ?", (key,))
            if row and row["slot"] and not self.execute("SELECT 1 FROM containers WHERE slot = ?", (row["slot"],)):
                last_of_slot(row["slot"])

    def row(self, key: str) -> Row | None:
        """Return the container's row as column -> value, None if there is none."""
        rows = self.execute("SELECT * FROM containers WHERE key = ?", (key,))
        return dict(zip(COLUMNS, rows[0], strict=True)) if rows else None

    def rows(self) -> list[Row]:
        """Return every row as column -> value, oldest first."""
        rows = self.execute("SELECT * FROM containers ORDER BY created")
        return [dict(zip(COLUMNS, row, strict=True)) for row in rows]

    def routes(self) -> dict[int, str]:
        """Return first port -> address of every container that has both."""
        rows = self.execute(
            "SELECT first_port, address FROM containers WHERE first_port IS NOT NULL AND address IS NOT NULL"
        )
        return dict((first, address) for first, address in rows)


class _Transaction:
    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> None:
        self._store.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._store.execute("COMMIT" if kind is None else "ROLLBACK")
