"""`delete` gives everything back once the runtime below has let go, however often it is called or cut short."""

from __future__ import annotations

import pytest

from tests.harness import CONFIG, RUN, PrivateNode
from tests.runtime.faults import disk, free_bytes, killed_after, locked_store, missing
from tests.runtime.refusals import Refusals
from tests.runtime.runtimes import RecordingRuntime


def test_an_unknown_container_is_answered_as_the_runtime_does(node: PrivateNode) -> None:
    assert node.runtime("delete", "--force", "nobody-knows").returncode == 0
    done = node.runtime("delete", "nobody-knows", check=False)
    assert done.returncode == 1
    assert "does not exist" in done.stderr


def test_a_running_container_is_not_deleted_and_keeps_all(node: PrivateNode) -> None:
    bundle = node.yarn_bundle().launch("10.88.5.1")
    held = node.leftovers()
    assert bundle.delete(check=False).returncode == 1
    assert node.leftovers() == held
    assert bundle.inside("id", "-u").stdout == "6001\n"


def test_a_created_container_is_deleted_by_force(node: PrivateNode) -> None:
    bundle = node.yarn_bundle()
    bundle.create()
    bundle.delete("--force")
    assert node.leftovers() == []


@pytest.mark.parametrize("child", [False, True], ids=["delete", "runtime-below"])
def test_killed_at_any_point_and_repeated(node: PrivateNode, child: bool) -> None:
    for milliseconds in range(0, 80, 4):
        bundle = node.yarn_bundle()
        bundle.launch(f"10.88.5.{milliseconds + 2}")
        killed_after(node, bundle, ["delete", "--force", bundle.id], milliseconds / 1000, child=child)
        bundle.delete("--force")
    assert node.leftovers() == []


def test_killed_and_never_repeated(node: PrivateNode) -> None:
    node.configure(CONFIG.replace("16384-17407", "16384-32767"))  # each may keep its block until the end
    for milliseconds in range(0, 80, 8):
        bundle = node.yarn_bundle()
        bundle.launch(f"10.88.5.{milliseconds + 2}")
        killed_after(node, bundle, ["delete", "--force", bundle.id], milliseconds / 1000)
        if node.runtime("state", bundle.id, check=False).returncode == 0:
            bundle.delete("--force")  # it was cut short before the runtime below did anything
    node.people("reconcile")
    assert node.leftovers() == []


def test_a_runtime_that_is_gone(node: PrivateNode, refused: Refusals) -> None:
    runtime = RecordingRuntime(node, "gone")
    node.configure(runtime.config())
    bundle = node.yarn_bundle().launch()
    held = node.leftovers()
    with missing(node.path(runtime.path)):
        refused.call("delete", "--force", bundle.id, says=[runtime.path, "install it"])
        refused.call("kill", bundle.id, "9", says=[runtime.path, "install it"])
    assert node.leftovers() == held
    bundle.delete("--force")


def test_a_failing_runtime_keeps_all_until_it_succeeds(node: PrivateNode) -> None:
    runtime = RecordingRuntime(node, "moody", "test -e /opt/moody/fails && exit 42")
    node.configure(runtime.config())
    bundle = node.yarn_bundle().launch()
    held = node.leftovers()
    node.path("/opt/moody/fails").touch()
    assert bundle.delete("--force", check=False).returncode == 42
    assert node.leftovers() == held
    node.path("/opt/moody/fails").unlink()
    bundle.delete("--force")


def test_a_locked_store(node: PrivateNode) -> None:
    bundle = node.yarn_bundle().launch()
    with locked_store(node):
        done = node.runtime("delete", "--force", bundle.id, check=False, timeout=45)
    assert done.returncode == 1
    assert "state.db cannot be used (database is locked)" in node.last_log()
    bundle.delete("--force")
    assert node.leftovers() == []


def test_a_full_disk(node: PrivateNode) -> None:
    with disk(node, 1024) as folder:
        bundle = node.yarn_bundle().launch("10.88.5.90")
        with free_bytes(folder, 0):
            bundle.delete("--force", check=False)
        bundle.delete("--force")
        assert node.leftovers() == []
        assert not list(node.path(f"{RUN}/containers").iterdir())
