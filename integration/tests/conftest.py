"""One cluster for the whole run, and after each test the proof that nothing of it is left."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from integration import cluster as mini_cluster
from integration import spark_jobs, tpch
from integration.applications import Applications
from integration.cluster import Cluster
from integration.leftovers import wait_until_clean
from integration.paths import cache
from integration.tests.containers import Containers
from integration.turn import turn
from integration.webhdfs import WebHdfs

CLEAN_UP_SECONDS = 60


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster; taken down at the end, unless KEEP=1."""
    with turn():
        try:
            yield mini_cluster.up()
        finally:
            if os.environ.get("KEEP") != "1":
                mini_cluster.down()


@pytest.fixture(scope="session")
def applications(cluster: Cluster) -> Applications:
    return Applications(cluster.rm)


@pytest.fixture(scope="session")
def hdfs(cluster: Cluster) -> WebHdfs:
    """The cluster's HDFS, with TPC-H tables, queries and application in it."""
    files = WebHdfs(cluster.namenode, cluster.addresses)
    spark_jobs.publish(files, tpch.tables(cache()))
    return files


@pytest.fixture(scope="session")
def containers(cluster: Cluster, applications: Applications) -> Containers:
    return Containers(cluster, applications)


@pytest.fixture(scope="module")
def nothing_is_left(cluster: Cluster) -> Iterator[None]:
    """After a module's applications have ended, no slot, block, route, mount, record or sandbox remains."""
    yield
    assert wait_until_clean(cluster, CLEAN_UP_SECONDS) == []
