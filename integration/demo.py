"""`make demo`: two tenants' Spark applications at the same time, every container in its sandbox.

    build/venv/bin/python -m integration.demo

Brings the cluster up, gives it TPC-H data, runs the application of jobs/tpch.py for each tenant in cluster
mode, compares the answers with DuckDB's, shows what ran where and takes the cluster down again.  With
KEEP=1 the cluster stays.  Exits with 1 and one sentence when anything is not as it should be.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rich.console import Console

from integration import cluster as mini_cluster
from integration import compare, observe, report, spark_jobs, tpch
from integration.applications import Application, Applications
from integration.cluster import Cluster
from integration.leftovers import wait_until_clean
from integration.observe import Placement
from integration.paths import cache
from integration.shell import ClusterError
from integration.turn import turn
from integration.webhdfs import WebHdfs

TENANTS = ("alice", "bob")
PATIENCE_SECONDS = 600
CLEAN_UP_SECONDS = 60
_POLL_SECONDS = 1.0
_ADVICE = "KEEP=1 keeps the cluster, and with it the containers' logs at its ResourceManager's web page"
_WIDTH_WITHOUT_TERMINAL = 170


def main() -> int:
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL, highlight=False)
    keep = os.environ.get("KEEP") == "1"
    started = time.monotonic()
    try:
        with turn():
            try:
                run(mini_cluster.up(), console)
            finally:
                if not keep:
                    mini_cluster.down()
    except ClusterError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130
    if keep:
        console.print(f"The cluster stays up: ResourceManager at {Cluster.rm}; take it down with make down")
    console.print(f"Done in {time.monotonic() - started:.0f} s")
    return 0


def run(cluster: Cluster, console: Console) -> None:
    """Both tenants' applications on `cluster`, start to table; ClusterError where anything is wrong."""
    tables = tpch.tables(cache())
    hdfs = WebHdfs(cluster.namenode, cluster.addresses)
    spark_jobs.publish(hdfs, tables)
    applications = submit_all(cluster)
    with report.board(console) as board:
        placements = watch(cluster, applications, board)
    results = {user: spark_jobs.result(hdfs, user, application) for user, application in applications.items()}
    check_answers(results, compare.reference(tables, tpch.QUERIES), console)
    check_containers(results, placements, os.uname().release)
    console.print(report.table(list(results.values()), placements))
    if left := wait_until_clean(cluster, CLEAN_UP_SECONDS):
        raise ClusterError(f"the applications have ended, but there is left: {'; '.join(left)}")
    console.print("Left on the nodes: no slot, port block, route, mount, record or sandbox")


def submit_all(cluster: Cluster) -> dict[str, str]:
    """Submit each tenant's application, in cluster mode and at the same time; return user -> id."""
    with ThreadPoolExecutor() as pool:
        submitted = {user: pool.submit(spark_jobs.submit, cluster, user) for user in TENANTS}
        return {user: application.result() for user, application in submitted.items()}


def watch(cluster: Cluster, applications: Mapping[str, str], board: report.Board) -> dict[str, Placement]:
    """Show how the applications (tenant -> id) go until all have ended; return each container's place."""
    api = Applications(cluster.rm)
    seen: dict[str, Placement] = {}
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        seen.update((place.container, place) for place in observe.placements(cluster))
        states = {tenant: api.get(application) for tenant, application in applications.items()}
        for tenant, state in states.items():
            board.show(tenant, describe(state, list(seen.values())))
        if all(state.ended for state in states.values()):
            break
        if time.monotonic() > end:
            raise ClusterError(
                f"{', '.join(applications.values())} have not ended after {PATIENCE_SECONDS} s; {_ADVICE}"
            )
        time.sleep(_POLL_SECONDS)
    for state in states.values():
        if state.final_status != "SUCCEEDED":
            what = f"{state.id} of {state.user} ended as {state.final_status}"
            raise ClusterError(f"{what}: {state.diagnostics.strip() or 'no reason given'}; {_ADVICE}")
    return seen


def describe(application: Application, seen: Sequence[Placement]) -> str:
    """One line: where the application stands, and on which nodes it has had containers."""
    own = [place for place in seen if place.application == application.id]
    nodes = ", ".join(sorted({place.node for place in own}))
    where = f", {len(own)} sandboxes on {nodes}" if own else ""
    return f"{application.id} {application.state.lower()}{where}"


def check_answers(
    results: Mapping[str, Mapping[str, Any]], expected: Mapping[str, compare.Rows], console: Console
) -> None:
    """Say that each tenant's answers equal DuckDB's; ClusterError names the first query that does not."""
    for tenant, result in results.items():
        if wrong := compare.differences(expected, result["answers"]):
            raise ClusterError(f"{tenant}'s answers are not DuckDB's: {'; '.join(wrong)}")
        console.print(f"{tenant}: answers equal DuckDB's ({', '.join(expected)})")


def check_containers(
    results: Mapping[str, Mapping[str, Any]], placements: Mapping[str, Placement], host_kernel: str
) -> None:
    """ClusterError unless every container was sandboxed, in its tenant's own slot, and blocks travelled."""
    for tenant, result in results.items():
        for facts in result["containers"]:
            who = f"{tenant}'s {facts['role']} ({facts['container']})"
            place = placements.get(facts["container"])
            if place is None:
                raise ClusterError(f"{who} is unknown to the runtime of every node: it ran outside of policy")
            if facts["kernel"] == host_kernel:
                raise ClusterError(f"{who} saw the node's own kernel {host_kernel}: it was not sandboxed")
            if facts["uid"] != place.uid or place.tenant != tenant:
                raise ClusterError(f"{who} ran as uid {facts['uid']}, but holds {place.slot} ({place.uid})")
        if not any(facts["remote_bytes"] for facts in result["containers"]):
            raise ClusterError(f"{tenant}'s executors fetched no shuffle block from each other")
    slots = {(place.node, place.slot): place.tenant for place in placements.values()}
    for place in placements.values():
        if slots[place.node, place.slot] != place.tenant:
            raise ClusterError(f"{place.slot} of {place.node} was given to more than one tenant")


if __name__ == "__main__":
    sys.exit(main())
