"""Tenants run as slots: whose they are, what they see and what stays on disk."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from integration import accounts
from integration.cluster import Cluster
from integration.observe import Placement
from integration.tests.containers import WAITING, Containers

pytestmark = pytest.mark.usefixtures("nothing_is_left")

UID = {user.name: user.uid for user in accounts.USERS}


@pytest.fixture(scope="module")
def running(containers: Containers) -> Iterator[list[Placement]]:
    """Three applications of alice's and three of bob's: on two nodes each has two on one of them."""
    command = f"id; touch made-inside; stat -c '%u %n' . made-inside; {WAITING}"
    started = [containers.start(user, command) for user in ("alice", "bob") for _ in range(3)]
    yield started
    for place in started:
        containers.kill(place)


def test_a_slot_has_one_tenant_and_a_tenant_one_slot_of_a_node(running: list[Placement]) -> None:
    pairs = {(place.node, place.tenant, place.slot) for place in running}
    assert len(pairs) == len({(node, tenant) for node, tenant, _ in pairs})
    assert len(pairs) == len({(node, slot) for node, _, slot in pairs})
    assert len(pairs) < len(running)  # two applications of one tenant on one node have been seen


def test_port_blocks_of_a_node_are_disjoint(running: list[Placement]) -> None:
    taken = [(place.node, port) for place in running for port in range(place.ports[0], place.ports[1] + 1)]
    assert len(taken) == len(set(taken))


def test_inside_it_is_the_slot_under_the_tenants_name(containers: Containers, running: list[Placement]) -> None:
    for place in running:
        identity, folder, file = containers.log(place, "stdout").splitlines()[1:]
        assert identity.startswith(f"uid={place.uid}({place.user}) gid={place.uid}")
        assert folder == f"{place.uid} ."
        assert file == f"{place.uid} made-inside"
        assert place.uid not in UID.values()


def test_on_disk_everything_stays_the_yarn_users(cluster: Cluster, running: list[Placement]) -> None:
    for place in running:
        folder = f"{cluster.local_dir}/usercache/{place.user}/appcache/{place.application}"
        logs = f"{cluster.log_dir}/{place.application}/{place.container}"
        listing = cluster.exec(place.node, ["find", folder, logs, "-printf", "%U %p\n"]).stdout.splitlines()
        assert f"{UID[place.user]} {folder}/{place.container}/made-inside" in listing
        assert {line.split()[0] for line in listing} == {str(UID[place.user])}


def test_exec_enters_as_the_slot(containers: Containers, running: list[Placement]) -> None:
    for place in running[::3]:
        assert containers.inside(place, "id", "-u") == str(place.uid)
        assert containers.inside(place, "sh", "-c", "touch made-by-exec && stat -c %u made-by-exec") == str(place.uid)


def test_exec_as_privileged_root_is_the_slot_too(cluster: Cluster, running: list[Placement]) -> None:
    """Whom the engine names does not count: inside there is the tenant, without a capability."""
    for place in running[::3]:
        command = ["docker", "exec", "--user=0:0", "--privileged", place.container, "sh", "-c"]
        shown = cluster.exec(place.node, [*command, "id -u; grep CapEff /proc/self/status"]).stdout
        assert shown.split() == [str(place.uid), "CapEff:", "0000000000000000"]


def test_the_sandbox_has_a_kernel_of_its_own(
    cluster: Cluster, containers: Containers, running: list[Placement]
) -> None:
    for place in running[::3]:
        node_kernel = cluster.exec(place.node, ["uname", "-r"]).stdout.strip()
        assert containers.inside(place, "uname", "-r") != node_kernel
