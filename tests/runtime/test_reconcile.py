"""Whatever a crash leaves behind is given back by `reconcile`, and what lives is kept."""

from __future__ import annotations

import json
from subprocess import DEVNULL

import pytest

from tests.harness import RUN, RUNC, PrivateNode, until
from tests.runtime.faults import damage_store, disk, free_bytes, killed_after, missing
from tests.runtime.refusals import Refusals
from tests.runtime.runtimes import RecordingRuntime


def _reconciled(node: PrivateNode) -> list[str]:
    done: list[str] = json.loads(node.people("reconcile", "--json").stdout)
    return done


def test_nothing_to_do(node: PrivateNode) -> None:
    bundle = node.yarn_bundle().launch("10.88.4.1")
    row, held = bundle.row(), node.leftovers()
    assert _reconciled(node) == []
    assert "nothing to do" in node.people("reconcile").stdout
    assert (bundle.row(), node.leftovers()) == (row, held)


def test_a_container_whose_delete_never_came(node: PrivateNode) -> None:
    lost, kept = node.yarn_bundle().launch("10.88.4.2"), node.yarn_bundle().launch("10.88.4.3")
    node.run([RUNC, "--root", node.engine()[2], "delete", "--force", lost.id])
    assert _reconciled(node) == [f"gave back what {lost.id} held"]
    assert [row["id"] for row in node.listed("containers")] == [kept.id]
    assert list(node.routes().values()) == ["10.88.4.3"]


@pytest.mark.parametrize("child", [False, True], ids=["launcher", "its-child"])
def test_a_create_that_was_killed_at_any_point(node: PrivateNode, child: bool) -> None:
    for milliseconds in range(0, 80, 4):
        bundle = node.yarn_bundle()
        killed_after(node, bundle, ["create", *bundle.words()], milliseconds / 1000, child=child)
        if node.runtime("state", bundle.id, check=False).returncode == 0:
            bundle.delete("--force")  # for the runtime below it lives
    _reconciled(node)
    assert node.leftovers() == []


def test_a_damaged_store_is_made_anew_from_the_records(node: PrivateNode, refused: Refusals) -> None:
    lost = node.yarn_bundle().launch("10.88.4.4")
    kept, other = node.yarn_bundle().launch("10.88.4.5"), node.yarn_bundle(user="bob", application=2).launch()
    rows = [kept.row(), other.row()]
    damage_store(node)
    refused.call("create", *node.yarn_bundle().words(), says=["state.db is damaged", "reconcile"])
    assert lost.delete("--force", check=False).returncode == 1
    assert "reconcile" in node.last_log()
    first, *others = _reconciled(node)
    assert ".damaged-" in first
    noted = sorted(f"noted {bundle.id} again" for bundle in (kept, other))
    assert [others[0], *sorted(others[1:3])] == [f"gave back what {lost.id} held", *noted]
    assert [kept.row(), other.row()] == rows
    assert list(node.routes().values()) == ["10.88.4.5"]
    assert node.yarn_bundle(user="bob", application=2).launch().row()["slot"] == rows[1]["slot"]
    for file in node.path(RUN).glob("*.damaged-*"):
        file.unlink()


def test_a_full_disk_is_no_damage(node: PrivateNode) -> None:
    with disk(node, 1024) as folder:
        bundle = node.yarn_bundle().launch()
        row = bundle.row()
        with free_bytes(folder, 0):
            done = node.people("reconcile", check=False)
        assert done.returncode == 0 or "free its disk" in done.stderr
        assert not list(folder.glob("*.damaged-*"))
        node.people("reconcile")
        assert bundle.row() == row
        node.delete_all()


@pytest.mark.parametrize("emptied", [False, True], ids=["removed", "emptied"])
def test_a_lost_store_is_made_anew_from_the_records(node: PrivateNode, refused: Refusals, emptied: bool) -> None:
    kept = node.yarn_bundle(user="bob", application=2).launch("10.88.4.6")
    row = kept.row()
    for file in node.path(RUN).glob("state.db*"):
        file.write_bytes(b"") if emptied and file.name == "state.db" else file.unlink()
    assert node.listed("containers") == []
    for _ in range(2):  # or alice would get the slot and the ports that bob holds
        refused.call("create", *node.yarn_bundle().words(), says=["has lost its containers", "reconcile"])
    assert _reconciled(node) == [f"noted {kept.id} again"]
    assert kept.row() == row
    other = node.yarn_bundle().launch().row()
    assert other["slot"] != row["slot"] and other["ports"] != row["ports"]


def test_a_runtime_that_is_gone_may_still_run_its_containers(node: PrivateNode) -> None:
    runtime = RecordingRuntime(node, "gone")
    node.configure(runtime.config())
    bundle = node.yarn_bundle().launch()
    node.people("reconcile")
    row = bundle.row()
    with missing(node.path(runtime.path)):
        assert _reconciled(node) == []
    assert bundle.row() == row


def test_a_damaged_record(node: PrivateNode, refused: Refusals) -> None:
    bundle = node.yarn_bundle().launch()
    (record,) = node.path(f"{RUN}/containers").iterdir()
    content = (record / "delegate").read_bytes()
    for damaged in (b"", b"yarn", content[:-1], content.replace(b"yarn", b"mine")):
        (record / "delegate").write_bytes(damaged)
        for verb in ("start", "state", "delete"):
            refused.call(verb, bundle.id, says=["is damaged", "reconcile"])
        assert _reconciled(node) == []  # its process lives: nothing that it holds is another's
        assert bundle.row()["slot"] is not None
    (record / "delegate").write_bytes(content)
    bundle.delete("--force")


def test_a_damaged_record_of_a_container_that_is_gone(node: PrivateNode) -> None:
    bundle = node.yarn_bundle().launch()
    (record,) = node.path(f"{RUN}/containers").iterdir()
    (record / "delegate").write_bytes(b"")
    node.run([RUNC, "--root", node.engine()[2], "delete", "--force", bundle.id])
    bundle.pid_file.unlink()  # as its engine removes the bundle
    assert _reconciled(node)[0] == f"gave back what {bundle.id} held"


def test_an_address_that_was_not_noted(node: PrivateNode) -> None:
    bundle = node.yarn_bundle().launch("10.88.4.7")
    routes = node.routes()
    node.run(["nft", "flush", "ruleset"])
    node.run(["/usr/bin/python3", "-c", _FORGET_ADDRESSES])
    _reconciled(node)
    assert node.routes() == routes
    assert bundle.row()["address"] == "10.88.4.7"


_FORGET_ADDRESSES = """
import sqlite3
with sqlite3.connect("/run/yarn-kata/state.db") as db:
    db.execute("UPDATE containers SET address = NULL")
"""


def test_a_route_of_a_container_that_nothing_knows_of(node: PrivateNode) -> None:
    lost, kept = node.yarn_bundle().launch("10.88.4.8"), node.yarn_bundle().launch("10.88.4.9")
    node.run([RUNC, "--root", node.engine()[2], "delete", "--force", lost.id])
    first_port = lost.row()["ports"][0]
    for file in node.path(RUN).glob("state.db*"):
        file.unlink()
    assert f"closed the route of port {first_port}" in _reconciled(node)
    assert node.routes() == {kept.row()["ports"][0]: "10.88.4.9"}


def test_a_create_in_progress_is_left_alone(node: PrivateNode) -> None:
    node.people("reconcile")
    gate = node.path("/opt/gate")
    gate.touch()
    slow = RecordingRuntime(node, "slow", "while [ -e /opt/gate ]; do sleep 0.05; done")
    node.configure(slow.config())
    bundle = node.yarn_bundle()
    creating = node.begin(node.engine("create", *bundle.words()), cwd=str(bundle.path), streams=DEVNULL)
    try:
        until(lambda: slow.calls() != [], "the create of the runtime below")
        held = node.leftovers()
        assert _reconciled(node) == []
        assert node.leftovers() == held
    finally:
        gate.unlink()
    assert creating.wait(60) == 0
    bundle.start()
    assert bundle.inside("id", "-u").stdout == "6001\n"


def test_after_a_reboot_all_is_as_at_first(node: PrivateNode) -> None:
    before = node.yarn_bundle().launch("10.88.4.10")
    node.runtime("kill", before.id, "KILL")
    before.wait_stopped()
    node.run(["nft", "flush", "ruleset"])
    node.run(["umount", "-R", str(RUN), node.engine()[2]])
    node.path(RUN).rmdir()
    assert _reconciled(node) == []
    assert node.runtime("delete", "--force", before.id).returncode == 0
    after = node.yarn_bundle(user="bob", application=2).launch("10.88.4.11")
    assert after.row()["slot"] == "slot1"
    assert list(node.routes().values()) == ["10.88.4.11"]


def test_a_firewall_that_another_program_rewrote(node: PrivateNode) -> None:
    node.yarn_bundle().launch("10.88.4.20")
    node.run(["iptables", "-F", "DOCKER-USER"])
    assert _reconciled(node) == ["put back the rule by which Docker's firewall passes the routes"]
    assert "0x10000000" in node.run(["iptables", "-S", "DOCKER-USER"]).stdout
    assert list(node.routes().values()) == ["10.88.4.20"]
    assert _reconciled(node) == []
