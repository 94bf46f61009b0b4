"""Creates that are cut short or find the node's state unusable: an engine's delete gives everything back."""

from __future__ import annotations

import pytest

from tests.harness import PrivateNode
from tests.runtime.faults import disk, free_bytes, killed_after, locked_store
from tests.runtime.refusals import Refusals

PAGE = 4096


@pytest.mark.parametrize("verb", ["create", "run"])
@pytest.mark.parametrize("child", [False, True], ids=["launcher", "its-child"])
def test_killed_at_any_point_and_deleted(node: PrivateNode, verb: str, child: bool) -> None:
    for milliseconds in range(0, 80, 4):
        bundle = node.yarn_bundle()
        killed_after(node, bundle, [verb, *bundle.words()], milliseconds / 1000, child=child)
        bundle.delete("--force")
    node.people("reconcile")  # what was cut short before the container had a name is swept
    assert node.leftovers() == []


def test_killed_while_its_network_is_attached(node: PrivateNode) -> None:
    for milliseconds in range(0, 60, 6):
        bundle = node.yarn_bundle()
        bundle.create()
        bundle.attach(f"10.88.6.{milliseconds + 1}")
        killed_after(node, bundle, ["start", bundle.id], milliseconds / 1000)
        bundle.delete("--force")
        assert node.leftovers() == []


def test_what_its_child_had_is_given_back_at_once(node: PrivateNode) -> None:
    """With the launcher alive nobody needs to call delete."""
    for milliseconds in range(20, 80, 6):
        bundle = node.yarn_bundle()
        killed_after(node, bundle, ["create", *bundle.words()], milliseconds / 1000, child=True)
        if node.runtime("state", bundle.id, check=False).returncode == 0:
            bundle.delete("--force")
        held = [line for line in node.leftovers() if bundle.id in line]
        assert held == []
    node.people("reconcile")


def test_the_id_can_be_used_again_after_a_killed_create(node: PrivateNode) -> None:
    for milliseconds in range(0, 80, 8):
        bundle = node.yarn_bundle()
        spec = bundle.spec
        killed_after(node, bundle, ["create", *bundle.words()], milliseconds / 1000)
        bundle.delete("--force")
        bundle.spec = spec
        for file in (bundle.pid_file, bundle.path / ".init.pid"):  # runc's own, complete and not
            file.unlink(missing_ok=True)
        bundle.launch()
        bundle.delete("--force")


def test_a_locked_store(node: PrivateNode) -> None:
    node.yarn_bundle().create()  # so that there is one
    bundle = node.yarn_bundle()
    held = node.leftovers()
    with locked_store(node):
        done = bundle.create(check=False)
    assert done.returncode == 1
    assert "state.db cannot be used (database is locked)" in node.last_log()
    assert node.leftovers() == held
    bundle.create()


def test_a_disk_that_is_full_at_any_point(node: PrivateNode) -> None:
    with disk(node, 1024) as folder:
        node.foreign_bundle().launch().delete("--force")  # the policy is compiled; there is no store yet
        outcomes = [_created_on(node, pages * PAGE) for pages in range(0, 48, 3)]
        assert folder.is_dir()
    assert outcomes[0] != 0 and outcomes[-1] == 0


def test_a_store_whose_disk_is_full(node: PrivateNode) -> None:
    with disk(node, 1024):
        node.yarn_bundle(user="bob", application=2).launch()
        outcomes = [_created_on(node, pages * PAGE) for pages in range(0, 40, 3)]
        assert [row["tenant"] for row in node.listed("containers")] == ["bob"]
        node.delete_all()
    assert outcomes[0] != 0 and outcomes[-1] == 0


def _created_on(node: PrivateNode, count: int) -> int:
    """Return the exit code of a create on a disk with so many free bytes; nothing of it may be left."""
    held = node.leftovers()
    bundle = node.yarn_bundle()
    node.log.unlink(missing_ok=True)
    with free_bytes(node.path("/run/yarn-kata"), count):
        code = bundle.create(check=False).returncode
    if code:
        assert "internal error" not in node.last_log()
        assert node.runtime("state", bundle.id, check=False).returncode == 1
    bundle.delete("--force")
    assert node.leftovers() == held
    return code


def test_a_folder_of_the_tenants_that_is_a_link(node: PrivateNode, refused: Refusals) -> None:
    bundle = node.yarn_bundle()
    logs = node.path(bundle.logs)
    logs.rmdir()
    logs.symlink_to("/etc")
    refused.create(bundle, bundle.container, "symbolic link")


def test_a_launch_script_that_is_missing(node: PrivateNode, refused: Refusals) -> None:
    bundle = node.yarn_bundle()
    script = f"nmPrivate/{bundle.application}/{bundle.container}/launch_container.sh"
    node.path(f"/var/lib/hadoop-yarn/nm/local/{script}").unlink()
    refused.create(bundle, script, "node.local_dirs")
