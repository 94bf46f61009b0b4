"""The TPC-H application of jobs/tpch.py on the cluster: publish it, submit it, fetch its result."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from integration import tpch
from integration.cluster import Cluster
from integration.shell import ClusterError
from integration.webhdfs import WebHdfs

SHARED = "/tpch"  # in HDFS, for all tenants to read
JOB = Path(__file__).parent / "jobs" / "tpch.py"

# Blocks travel over the network even between executors of one node, joins are shuffled however small, and
# no query starts before each executor is there.
SETTINGS = {
    "spark.shuffle.readHostLocalDisk": "false",
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    "spark.sql.shuffle.partitions": "4",
    "spark.executor.cores": "1",
    "spark.scheduler.minRegisteredResourcesRatio": "1.0",
    "spark.scheduler.maxRegisteredResourcesWaitingTime": "120s",
}


def publish(hdfs: WebHdfs, tables: Path) -> None:
    """Put the tables, the queries and the application where every tenant can read them."""
    files = {f"tables/{file.parent.name}/{file.name}": file for file in tables.glob("*/*.parquet")}
    files |= {f"queries/{file.name}": file for file in tpch.QUERIES.glob("*.sql")}
    files[JOB.name] = JOB
    for path, file in files.items():
        hdfs.write(f"{SHARED}/{path}", file.read_bytes(), "hdfs")


def submit(
    cluster: Cluster,
    user: str,
    result: str,
    executors: int = 2,
    settings: Mapping[str, str] | None = None,
) -> str:
    """Submit the application in cluster mode, to write `result` into HDFS; return its id without waiting."""
    said = cluster.submit(
        user,
        command(result, executors, "cluster", {"spark.yarn.submit.waitAppCompletion": "false", **(settings or {})}),
    )
    found = re.search(r"Submitted application (application_\d+_\d+)", said.stderr)
    if found is None:
        raise ClusterError(f"spark-submit of {user} names no application: {said.stderr[-2000:]}")
    return found[1]


def command(result: str, executors: int, mode: str, settings: Mapping[str, str]) -> list[str]:
    """The spark-submit command line, deploy mode `mode`, that writes `result`."""
    words = ["spark-submit", "--master", "yarn", "--deploy-mode", mode, "--num-executors", str(executors)]
    for key, value in {**SETTINGS, **settings}.items():
        words += ["--conf", f"{key}={value}"]
    return [*words, f"hdfs://{SHARED}/{JOB.name}", f"{SHARED}/tables", f"{SHARED}/queries", result]


def result_path(user: str, name: str = "tpch") -> str:
    """Where in the user's own HDFS folder a run's result goes."""
    return f"/user/{user}/{name}.json"


def result(hdfs: WebHdfs, user: str, path: str) -> dict[str, Any]:
    """The JSON object that the application wrote, see jobs/tpch.py."""
    found: dict[str, Any] = json.loads(hdfs.read(path, user))
    return found
