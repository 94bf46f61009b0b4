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
    "spark.yarn.submit.waitAppCompletion": "false",
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
    executors: int = 2,
    mode: str = "cluster",
    settings: Mapping[str, str] | None = None,
) -> str:
    """Submit the application; return its id, in cluster mode without waiting for its end."""
    words = ["spark-submit", "--deploy-mode", mode, "--num-executors", str(executors)]
    for key, value in {**SETTINGS, **(settings or {})}.items():
        words += ["--conf", f"{key}={value}"]
    arguments = [f"hdfs://{SHARED}/{JOB.name}", f"{SHARED}/tables", f"{SHARED}/queries", results(user)]
    said = cluster.submit(user, [*words, *arguments])
    found = re.search(r"Submitted application (application_\d+_\d+)", said.stderr)
    if found is None:
        raise ClusterError(f"spark-submit of {user} names no application: {said.stderr[-2000:]}")
    return found[1]


def results(user: str) -> str:
    """The folder of the user's results: the own home in HDFS."""
    return f"/user/{user}"


def result(hdfs: WebHdfs, user: str, application: str) -> dict[str, Any]:
    """The JSON object that the application wrote, see jobs/tpch.py."""
    found: dict[str, Any] = json.loads(hdfs.read(f"{results(user)}/{application}.json", user))
    return found
