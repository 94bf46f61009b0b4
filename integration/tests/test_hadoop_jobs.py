"""Frameworks that know nothing of port blocks: MapReduce and DistributedShell."""

from __future__ import annotations

import os
import re

import pytest

from integration import hadoop
from integration.cluster import Cluster
from integration.tests import clients

pytestmark = pytest.mark.usefixtures("nothing_is_left")

NODE_KERNEL = os.uname().release


def test_mapreduce_pi(cluster: Cluster) -> None:
    """Tasks reach their application master's umbilical port, and the reducer the nodes' shuffle service."""
    done = clients.run(cluster, "alice", clients.EXAMPLES, "pi", "2", "100")
    assert "Estimated value of Pi is 3.12" in done.stdout


def test_distributed_shell(cluster: Cluster) -> None:
    """An application master and two containers of a shell command, every one of them in a sandbox."""
    jar = f"/opt/hadoop/lib/hadoop-yarn-applications-distributedshell-{hadoop.version()}.jar"
    options = ["-jar", jar, "-shell_command", "uname", "-shell_args", "-r", "-num_containers", "2"]
    sizes = ["-container_memory", "256", "-master_memory", "384"]
    done = clients.run(cluster, "bob", clients.DISTRIBUTED_SHELL, *options, *sizes)
    found = re.search(r"Submitted application (application_\d+_\d+)", done.stdout + done.stderr)
    assert found is not None
    kernels = re.findall(r"^\d+\.\d+\S*$", clients.logs(cluster, "bob", found[1]), re.MULTILINE)
    assert len(kernels) == 2
    assert NODE_KERNEL not in kernels
