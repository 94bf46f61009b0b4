"""Hadoop's own command line clients, run as a user of the cluster."""

from __future__ import annotations

import subprocess

from integration.applications import Applications
from integration.cluster import Cluster

LOGS = "org.apache.hadoop.yarn.client.cli.LogsCLI"
EXAMPLES = "org.apache.hadoop.examples.ExampleDriver"
DISTRIBUTED_SHELL = "org.apache.hadoop.yarn.applications.distributedshell.Client"

AGGREGATION_SECONDS = 60


def run(cluster: Cluster, user: str, main: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a client's main class to its end; ClusterError if it fails."""
    return cluster.submit(user, cluster.java(main, *arguments), timeout=400)


def logs(cluster: Cluster, user: str, application: str) -> str:
    """What `yarn logs` prints of an ended application, all of its containers."""
    Applications(cluster.rm).wait_logs(application, AGGREGATION_SECONDS)
    return run(cluster, user, LOGS, "-applicationId", application).stdout
