"""Two tenants' Spark at the same time, cluster mode, unmodified; and what else Spark may be asked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from rich.console import Console

from integration import compare, demo, spark_jobs, tpch
from integration.applications import Applications
from integration.cluster import Cluster
from integration.observe import Placement
from integration.paths import cache
from integration.report import Lines
from integration.tests import clients
from integration.webhdfs import WebHdfs

pytestmark = pytest.mark.usefixtures("nothing_is_left")

NODE_KERNEL = os.uname().release
APPLICATION_SECONDS = 300


class Run(NamedTuple):
    """Both tenants' runs: their own results, and each container's place by its YARN id."""

    results: dict[str, dict[str, Any]]
    placements: dict[str, Placement]

    def containers(self) -> list[tuple[dict[str, Any], Placement]]:
        """Every container's own facts and its place."""
        return [
            (facts, self.placements[facts["container"]])
            for result in self.results.values()
            for facts in result["containers"]
        ]


@pytest.fixture(scope="module")
def run(cluster: Cluster, hdfs: WebHdfs) -> Iterator[Run]:
    submitted = demo.submit_all(cluster)
    places = demo.watch(cluster, submitted, Lines(Console()))
    results = {user: spark_jobs.result(hdfs, user, application) for user, application in submitted.items()}
    yield Run(results, places)


@pytest.fixture(scope="session")
def expected() -> dict[str, compare.Rows]:
    return compare.reference(tpch.tables(cache()), tpch.QUERIES)


@pytest.mark.parametrize("tenant", demo.TENANTS)
def test_answers_are_duckdbs(run: Run, expected: dict[str, compare.Rows], tenant: str) -> None:
    assert compare.differences(expected, run.results[tenant]["answers"]) == []


@pytest.mark.parametrize("tenant", demo.TENANTS)
def test_one_application_master_and_the_executors_ran(run: Run, tenant: str) -> None:
    roles = [facts["role"] for facts in run.results[tenant]["containers"]]
    assert roles == ["driver", "executor 1", "executor 2"]


def test_each_container_was_gvisors(run: Run) -> None:
    for facts, place in run.containers():
        assert facts["kernel"] != NODE_KERNEL
        assert NODE_KERNEL not in facts["version"]
        assert place.runtime_class == "gvisor"


def test_containers_ran_on_both_nodes(run: Run, cluster: Cluster) -> None:
    assert {place.node for _, place in run.containers()} == set(cluster.nodes)


def test_each_container_ran_as_its_tenants_slot(run: Run) -> None:
    for facts, place in run.containers():
        assert (facts["uid"], facts["account"]) == (place.uid, place.tenant)
    slots = {(place.node, place.slot): place.tenant for _, place in run.containers()}
    assert all(slots[place.node, place.slot] == place.tenant for _, place in run.containers())


def test_what_listens_listens_in_the_containers_block(run: Run) -> None:
    for facts, place in run.containers():
        assert facts["listening"]
        assert all(place.ports[0] <= port <= place.ports[1] for port in facts["listening"])


@pytest.mark.parametrize("tenant", demo.TENANTS)
def test_shuffle_blocks_travelled_over_the_network(run: Run, tenant: str) -> None:
    executors = [facts for facts in run.results[tenant]["containers"] if facts["role"] != "driver"]
    assert all(facts["remote_blocks"] > 0 and facts["remote_bytes"] > 0 for facts in executors)


def test_executors_are_known_by_their_nodes_name(run: Run) -> None:
    for facts, place in run.containers():
        assert facts["host"] == place.node
        assert facts["hostname"] != place.node


def test_logs_can_be_read_after_the_end(run: Run, cluster: Cluster) -> None:
    for tenant, result in run.results.items():
        logs = clients.logs(cluster, tenant, result["application"])
        for facts in result["containers"]:
            assert facts["container"] in logs
        assert "Final app status: SUCCEEDED" in logs


def test_client_mode(cluster: Cluster, hdfs: WebHdfs, expected: dict[str, compare.Rows]) -> None:
    """The driver is the client's; its executors are sandboxed and reach it."""
    result = spark_jobs.result(hdfs, "alice", spark_jobs.submit(cluster, "alice", mode="client"))
    assert compare.differences(expected, result["answers"]) == []
    driver, *executors = result["containers"]
    assert (driver["container"], driver["kernel"]) == ("", NODE_KERNEL)
    assert len(executors) == 2
    assert all(facts["kernel"] != NODE_KERNEL for facts in executors)


def test_a_fixed_driver_port_is_explained(cluster: Cluster, hdfs: WebHdfs, applications: Applications) -> None:
    """No route leads to a port that the application chose; the executors' log says so in words."""
    settings = {"spark.driver.port": "5555", "spark.yarn.max.executor.failures": "1", "spark.yarn.maxAppAttempts": "1"}
    application = spark_jobs.submit(cluster, "bob", executors=1, settings=settings)
    ended = applications.wait(application, APPLICATION_SECONDS)
    assert ended.final_status == "FAILED"
    logs = clients.logs(cluster, "bob", application)
    assert "yarn-kata-runtime: the driver listens on port 5555, outside the routed ports" in logs
    assert "remove spark.driver.port" in logs
