"""Hadoop's own command line clients, run as a user of the cluster."""

from __future__ import annotations

import subprocess

from integration.cluster import Cluster

LOGS = "org.apache.hadoop.yarn.client.cli.LogsCLI"
EXAMPLES = "org.apache.hadoop.examples.ExampleDriver"
DISTRIBUTED_SHELL = "org.apache.hadoop.yarn.applications.distributedshell.Client"


def run(cluster: Cluster, user: str, main: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a client's main class to its end; ClusterError if it fails."""
    return cluster.submit(user, cluster.java(main, *arguments), timeout=400)


def logs(cluster: Cluster, user: str, application: str) -> str:
    """What `yarn logs` prints of an ended application."""
    return run(cluster, user, LOGS, "-applicationId", application).stdout
