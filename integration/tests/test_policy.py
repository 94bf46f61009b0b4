"""Nobody gets a container outside of policy, and whoever is refused is told why."""

from __future__ import annotations

import os

import pytest

from integration.cluster import Cluster
from integration.images import JOB_IMAGE
from integration.observe import placements
from integration.tests.containers import Containers

pytestmark = pytest.mark.usefixtures("nothing_is_left")

NODE_KERNEL = os.uname().release  # the nodes' containers share this machine's


def test_the_hosts_network_is_refused_in_the_diagnostics(containers: Containers) -> None:
    ended = containers.finish("alice", "true", {"YARN_CONTAINER_RUNTIME_DOCKER_CONTAINER_NETWORK": "host"})
    assert "asks for the host network, but class 'gvisor' allows bridge only" in ended.diagnostics
    assert "YARN_CONTAINER_RUNTIME_DOCKER_CONTAINER_NETWORK=bridge" in ended.diagnostics


def test_a_user_of_no_tenant_is_refused_in_the_diagnostics(containers: Containers) -> None:
    ended = containers.finish("carol", "true")
    assert "YARN user 'carol' belongs to no tenant of this node" in ended.diagnostics


@pytest.mark.parametrize(
    ("variable", "value", "answer"),
    [
        ("YARN_CONTAINER_RUNTIME_DOCKER_RUNTIME", "runc", "Disallowed runtime:  'runc' specified"),
        ("YARN_CONTAINER_RUNTIME_DOCKER_RUNTIME", "io.containerd.runc.v2", "Disallowed runtime"),
        ("YARN_CONTAINER_RUNTIME_TYPE", "default", "exitCode: -1000"),  # the NodeManager knows of no such runtime
        ("YARN_CONTAINER_RUNTIME_TYPE", "runc", "exitCode: -1000"),
        ("YARN_CONTAINER_RUNTIME_TYPE", "javasandbox", "exitCode: -1000"),
        ("YARN_CONTAINER_RUNTIME_DOCKER_RUN_PRIVILEGED_CONTAINER", "true", "privileged containers are not enabled"),
        ("YARN_CONTAINER_RUNTIME_DOCKER_MOUNTS", "/etc:/mnt:ro", "does not allow docker mount '/etc:/mnt:ro'"),
    ],
)
def test_no_application_leaves_the_sandbox(containers: Containers, variable: str, value: str, answer: str) -> None:
    """What YARN itself refuses: the command, which ends with 42 where it sees the node's kernel, never runs."""
    ended = containers.finish("alice", f"[ $(uname -r) = {NODE_KERNEL} ] && exit 42; exit 43", {variable: value})
    assert answer in ended.diagnostics
    assert "exitCode: 42" not in ended.diagnostics
    assert "exitCode: 43" not in ended.diagnostics


def test_yarns_own_name_for_the_runtime_is_the_sandbox(containers: Containers) -> None:
    """The one runtime that may be named changes nothing: the class is the tenant's."""
    environment = {"YARN_CONTAINER_RUNTIME_DOCKER_RUNTIME": "yarn-kata"}
    ended = containers.finish("alice", f"[ $(uname -r) = {NODE_KERNEL} ] && exit 42; exit 43", environment)
    assert "exitCode: 43" in ended.diagnostics


def test_the_administrators_own_containers_are_plain(cluster: Cluster) -> None:
    """A `docker run` on a node is runc's, with the node's kernel, root and no slot, and unknown to YARN's list."""
    for node in cluster.nodes:
        shown = cluster.exec(node, ["docker", "run", "--rm", JOB_IMAGE, "sh", "-c", "uname -r; id -u; id -g"])
        assert shown.stdout.split() == [NODE_KERNEL, "0", "0"]
    assert placements(cluster) == []


def test_a_name_of_yarns_alone_gets_nobody_in(cluster: Cluster) -> None:
    """A container that calls itself YARN's without being so is refused, not passed to runc."""
    name = "container_1795190376517_0001_01_000001"
    refused = cluster.exec(
        cluster.nodes[0], ["docker", "run", "--rm", f"--name={name}", JOB_IMAGE, "uname", "-r"], check=False
    )
    assert refused.returncode != 0
    assert name in refused.stderr
    assert NODE_KERNEL not in refused.stdout
