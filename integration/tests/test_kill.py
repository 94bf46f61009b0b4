"""However a container ends, it ends in time and leaves nothing (see conftest.nothing_is_left)."""

from __future__ import annotations

import json

import pytest

from integration import nodes
from integration.cluster import Cluster
from integration.observe import placements
from integration.shell import wait_for
from integration.tests.containers import END_SECONDS, WAITING, Containers

pytestmark = pytest.mark.usefixtures("nothing_is_left")


def nodemanagers_containers(cluster: Cluster, node: str) -> list[dict[str, object]]:
    """What the node's NodeManager still has to do with, KILLING containers among it."""
    answer = cluster.exec(node, ["curl", "--silent", "--fail", f"http://{node}:8042/ws/v1/node/containers"])
    found = json.loads(answer.stdout)["containers"] or {}
    return list(found.get("container", []))


def restart_dockerd(cluster: Cluster, node: str) -> None:
    """Kill the node's Docker daemon with no chance to tidy up, and start it again."""
    cluster.exec(node, ["pkill", "-KILL", "--exact", "dockerd"])
    nodes.start_daemon(node, "root", "dockerd", ["/usr/sbin/dockerd"])
    wait_for(
        f"an answer of the new dockerd on {node}",
        lambda: cluster.exec(node, ["docker", "version"], check=False).returncode == 0,
        timeout=END_SECONDS,
    )


def test_a_container_that_ignores_sigterm_is_killed(cluster: Cluster, containers: Containers) -> None:
    """YARN's own SIGKILL, sent as the user, cannot reach a sandbox: the runtime's escalation does."""
    place = containers.start("alice", f"trap '' TERM; {WAITING}")
    ended = containers.kill(place)
    assert ended.state == "KILLED"
    wait_for(
        f"the NodeManager of {place.node} being done with {place.container}",
        lambda: nodemanagers_containers(cluster, place.node) == [],
        timeout=END_SECONDS,
    )


def test_a_kill_leaves_the_tenants_other_applications_alone(containers: Containers) -> None:
    first, second = (containers.start("alice", WAITING) for _ in range(2))
    containers.kill(first)
    assert containers.inside(second, "id", "-u") == str(second.uid)
    containers.kill(second)


def test_an_exit_code_reaches_yarn(containers: Containers) -> None:
    assert "exitCode: 11" in containers.finish("bob", "exit 11").diagnostics


def test_a_sandbox_killed_from_outside_ends_its_application(cluster: Cluster, containers: Containers) -> None:
    place = containers.start("bob", WAITING)
    sandboxes = cluster.exec(place.node, ["pgrep", "--full", f"runsc-sandbox.*{place.id}"]).stdout.split()
    assert sandboxes
    cluster.exec(place.node, ["kill", "-KILL", *sandboxes])
    containers.wait_gone(place)


def test_a_dockerd_killed_and_restarted_gives_everything_back(cluster: Cluster, containers: Containers) -> None:
    """Without live-restore a new dockerd ends the old one's containers; reconcile takes what it did not tell."""
    place = containers.start("alice", WAITING)
    restart_dockerd(cluster, place.node)
    cluster.exec(place.node, ["yarn-kata-runtime", "reconcile"])
    containers.wait_gone(place)
    assert placements(cluster) == []
    again = containers.start("alice", WAITING)
    containers.kill(again)
