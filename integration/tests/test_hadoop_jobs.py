"""Frameworks that know nothing of port blocks: MapReduce and DistributedShell."""

from __future__ import annotations

import os

import pytest

from integration.cluster import Cluster

pytestmark = pytest.mark.usefixtures("nothing_is_left")

NODE_KERNEL = os.uname().release


def test_mapreduce_pi(cluster: Cluster) -> None:
    """Tasks reach their application master's umbilical port, reducers the nodes' shuffle service."""
    said = cluster.yarn("alice", ["jar", cluster.examples_jar, "pi", "2", "100"], timeout=400).stdout
    assert "Estimated value of Pi is 3.12" in said


def test_distributed_shell(cluster: Cluster) -> None:
    jar = cluster.distributed_shell_jar
    client = "org.apache.hadoop.yarn.applications.distributedshell.Client"
    words = ["-jar", jar, "-shell_command", "uname -r", "-num_containers", "2", "-container_memory", "256"]
    done = cluster.yarn("bob", ["jar", jar, client, *words], timeout=300)
    assert "Application completed successfully" in done.stdout + done.stderr
