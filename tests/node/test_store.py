"""The node's state: slots and blocks are dealt out once, whatever happens in whatever order."""

from __future__ import annotations

import multiprocessing
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.node.store import COLUMNS, Claim, Damaged, Held, Store

if TYPE_CHECKING:
    from yarn_kata_runtime.compiled import Ports, Slot

SLOTS: list[Slot] = [{"account": f"slot{n}", "uid": 6000 + n, "gid": 7000 + n} for n in (1, 2, 3)]
PORTS: Ports = {"mode": "on", "first": 1024, "last": 2047, "block": 256}
OWNER = (5001, 5002)


def claim(key: str, tenant: str = "alice", most: int = 0) -> Claim:
    return Claim(key, f"id-{key}", "/bundle", "/pid", f"container-{key}", "app", tenant, tenant, "gvisor", most)


def next_free(first: int, last: int, size: int, taken: set[int], after: int) -> int | None:
    """The lowest free block: what is in use on this machine does not matter here."""
    return next((port for port in range(first, last + 1, size) if port not in taken), None)


def take(store: Store, wanted: Claim, slots: list[Slot] | None = SLOTS, ports: Ports | None = PORTS) -> Held:
    return store.claim(wanted, slots, OWNER, ports, next_free, 1000.0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "state.db"))


class TestClaim:
    def test_a_row_says_all(self, store: Store) -> None:
        held = take(store, claim("k"))
        assert (held.slot, held.first_port) == (SLOTS[0], 1024)
        row = store.row("k")
        assert row is not None and tuple(row) == COLUMNS
        assert row == {
            "key": "k",
            "id": "id-k",
            "container": "container-k",
            "application": "app",
            "tenant": "alice",
            "user": "alice",
            "class": "gvisor",
            "bundle": "/bundle",
            "pid_file": "/pid",
            "slot": "slot1",
            "uid": 6001,
            "gid": 7001,
            "first_port": 1024,
            "last_port": 1279,
            "address": None,
            "created": 1000.0,
        }

    def test_without_slots_and_ports(self, store: Store) -> None:
        held = take(store, claim("k"), slots=None, ports=None)
        assert (held.slot, held.first_port) == (None, None)
        row = store.row("k")
        assert row is not None
        assert (row["slot"], row["uid"], row["gid"], row["first_port"], row["last_port"]) == (None, *OWNER, None, None)

    def test_one_tenant_one_slot_two_tenants_two(self, store: Store) -> None:
        slots = [take(store, claim(f"k{n}", tenant)).slot for n, tenant in enumerate(["alice", "bob", "alice"])]
        assert slots == [SLOTS[0], SLOTS[1], SLOTS[0]]

    def test_no_slot_is_free(self, store: Store) -> None:
        for tenant in ("alice", "bob", "eve"):
            take(store, claim(tenant, tenant))
        with pytest.raises(Refused) as refusal:
            take(store, claim("k", "mallory"))
        for words in ("'mallory'", "all 3", "slot1 by alice, slot2 by bob, slot3 by eve", "adds slots"):
            assert words in str(refusal.value)
        assert store.row("k") is None

    def test_a_slot_that_left_the_configuration_is_not_given_again(self, store: Store) -> None:
        take(store, claim("k1"))
        assert take(store, claim("k2"), slots=SLOTS[1:]).slot == SLOTS[1]

    def test_no_block_is_free(self, store: Store) -> None:
        for number in range(4):
            take(store, claim(f"k{number}"))
        with pytest.raises(Refused, match="no block of 256 ports is free for container-k: 4 are held"):
            take(store, claim("k"))
        assert store.row("k") is None

    def test_as_many_as_the_tenant_may(self, store: Store) -> None:
        take(store, claim("k1", most=2))
        take(store, claim("k2", most=2))
        take(store, claim("k3", "bob", most=1))
        with pytest.raises(Refused, match="'alice' has 2 containers"):
            take(store, claim("k4", most=2))

    def test_one_key_twice(self, store: Store) -> None:
        take(store, claim("k"))
        with pytest.raises(Refused, match="UNIQUE"):
            take(store, claim("k", "bob"))
        row = store.row("k")
        assert row is not None and row["tenant"] == "alice"

    def test_the_block_after_the_last_one_is_asked_for(self, store: Store) -> None:
        asked: list[tuple[set[int], int]] = []

        def free_block(first: int, last: int, size: int, taken: set[int], after: int) -> int:
            asked.append((taken, after))
            return 1024 + 256 * len(asked)

        for key in ("k1", "k2", "k3"):
            store.claim(claim(key), None, OWNER, PORTS, free_block, 0.0)
        assert asked == [(set(), 0), ({1280}, 1280), ({1280, 1536}, 1536)]


class TestRelease:
    def test_what_was_held_is_free(self, store: Store) -> None:
        for number in range(4):
            take(store, claim(f"k{number}"))
        store.release("k2", lambda slot: pytest.fail(f"{slot} is held"))
        assert take(store, claim("k")).first_port == 1024 + 2 * 256

    def test_the_last_of_a_slot(self, store: Store) -> None:
        take(store, claim("k1"))
        take(store, claim("k2"))
        told: list[str] = []
        for key in ("k1", "k2", "k2", "none"):
            store.release(key, told.append)
        assert told == ["slot1"]

    def test_undone_if_the_slot_cannot_be_cleared(self, store: Store) -> None:
        def fail(slot: str) -> None:
            raise OSError("busy")

        take(store, claim("k"))
        with pytest.raises(OSError, match="busy"):
            store.release("k", fail)
        assert store.row("k") is not None
        store.release("k", lambda _: None)
        assert store.rows() == []


def test_routes_are_what_has_a_block_and_an_address(store: Store) -> None:
    take(store, claim("k1"))
    take(store, claim("k2"))
    take(store, claim("k3"), ports=None)
    store.set_address("k2", "10.0.0.2")
    store.set_address("k3", "10.0.0.3")
    assert store.routes() == {1280: "10.0.0.2"}


class TestBegin:
    def test_a_new_file_that_has_lost_nothing(self, tmp_path: Path) -> None:
        path = str(tmp_path / "state.db")
        Store(path).begin(lambda: False)
        Store(path).begin(lambda: pytest.fail("asked of a file in use"))

    def test_a_new_file_that_has_lost_containers(self, tmp_path: Path) -> None:
        path = str(tmp_path / "state.db")
        for _ in range(2):
            with pytest.raises(Damaged, match="has lost its containers; run yarn-kata-runtime reconcile"):
                Store(path).begin(lambda: True)
        Store(path).begin(lambda: False)

    def test_of_two_that_come_at_once_one_is_asked(self, tmp_path: Path) -> None:
        path = str(tmp_path / "state.db")
        first, second = Store(path), Store(path)
        first.begin(lambda: False)
        second.begin(lambda: pytest.fail("asked of a file in use"))


class TestTrouble:
    @pytest.mark.parametrize("content", [b"x" * 5000, b"SQLite format 3\0" + b"\xff" * 4096])
    def test_a_damaged_file(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "state.db"
        path.write_bytes(content)
        with pytest.raises(Damaged, match=r"is damaged \(.+\); run yarn-kata-runtime reconcile"):
            Store(str(path))

    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(Refused, match="cannot be used") as refusal:
            Store(str(tmp_path / "none" / "state.db"))
        assert not isinstance(refusal.value, Damaged)

    def test_locked(self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        store.execute("PRAGMA busy_timeout = 50")
        with pytest.raises(
            Refused, match=r"cannot be used \(database is locked\); free its disk, or end what locks it"
        ):
            take(store, claim("k"))
        other.rollback()
        assert take(store, claim("k")).first_port == 1024

    def test_nobody_else_reads_it(self, store: Store, tmp_path: Path) -> None:
        take(store, claim("k"))
        assert {file.stat().st_mode & 0o077 for file in tmp_path.iterdir()} == {0}


def _claim_and_release(path: str, worker: int, results: Callable[[tuple[str, int]], None]) -> None:
    for number in range(10):
        key = f"{worker}-{number}"
        with Store(path) as store:
            held = store.claim(claim(key, f"tenant{worker % 3}"), SLOTS, OWNER, PORTS, next_free, 0.0)
        assert held.slot is not None and held.first_port is not None
        results((held.slot["account"], worker % 3))
        with Store(path) as store:
            store.release(key, lambda _: None)


def test_four_processes_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "state.db")
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[tuple[str, int]] = context.Queue()
    workers = [context.Process(target=_claim_and_release, args=(path, n, queue.put)) for n in range(4)]
    for worker in workers:
        worker.start()
    taken = [queue.get(timeout=60) for _ in range(40)]
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert len(taken) == 40
    assert Store(path).rows() == []


class Slotted(RuleBasedStateMachine):
    """Containers of four tenants come and go on a node with three slots and four blocks."""

    live = Bundle("live")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store(f"{self.folder.name}/state.db")
        self.held: dict[str, tuple[str, str, int]] = {}
        self.count = 0

    @rule(target=live, tenant=st.sampled_from(["alice", "bob", "eve", "mallory"]))
    def come(self, tenant: str) -> str:
        self.count += 1
        key = str(self.count)
        tenants = {name for name, _, _ in self.held.values()}
        fits = len(self.held) < 4 and (tenant in tenants or len(tenants) < len(SLOTS))
        try:
            held = take(self.store, claim(key, tenant))
        except Refused:
            assert not fits
            return key
        assert fits and held.slot is not None and held.first_port is not None
        self.held[key] = (tenant, held.slot["account"], held.first_port)
        return key

    @rule(key=consumes(live))
    def go(self, key: str) -> None:
        freed: list[str] = []
        self.store.release(key, freed.append)
        gone = self.held.pop(key, None)
        still = {slot for _, slot, _ in self.held.values()}
        assert freed == ([gone[1]] if gone and gone[1] not in still else [])

    @invariant()
    def a_slot_is_one_tenants_and_a_tenant_has_one(self) -> None:
        pairs = {(tenant, slot) for tenant, slot, _ in self.held.values()}
        assert len(pairs) == len({tenant for tenant, _ in pairs}) == len({slot for _, slot in pairs})

    @invariant()
    def a_block_is_one_containers(self) -> None:
        blocks = [block for _, _, block in self.held.values()]
        assert len(blocks) == len(set(blocks))

    @invariant()
    def the_rows_are_what_is_held(self) -> None:
        rows = {row["key"]: (row["tenant"], row["slot"], row["first_port"]) for row in self.store.rows()}
        assert rows == self.held

    def teardown(self) -> None:
        self.store.__exit__()
        self.folder.cleanup()


Slotted.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSlotted = Slotted.TestCase
