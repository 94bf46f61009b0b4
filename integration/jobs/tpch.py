"""PySpark application: answers TPC-H queries and tells what it saw of the containers it ran in.

    spark-submit --master yarn tpch.py DATA QUERIES RESULTS

DATA is a folder with one folder of parquet files a table, QUERIES one with `<name>.sql` files; all three are
paths of the cluster's file system. RESULTS/<application id>.json is written, one JSON object:

    user, application   who Spark says it runs for, and YARN's application id
    answers             query name -> rows, each a list of JSON values; dates as ISO text, decimals as numbers
    containers          the driver first, then each executor:
                        {role, container, host, hostname, kernel, version, uid, account, listening,
                         remote_bytes, remote_blocks, local_blocks}

The file stands alone, since spark-submit ships nothing else of this project.
"""

from __future__ import annotations

import datetime
import decimal
import json
import os
import posixpath
import pwd
import sys
from collections.abc import Iterator
from typing import Any

from pyspark import BarrierTaskContext  # type: ignore[import-not-found]
from pyspark.sql import SparkSession  # type: ignore[import-not-found]

TABLES = ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier")
TCP_LISTEN = "0A"


def listening_ports() -> list[int]:
    """The TCP ports that this network namespace listens on, from /proc/net."""
    ports = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not os.path.exists(table):
            continue
        with open(table) as lines:
            next(lines)
            for line in lines:
                _, local, _, state, *_ = line.split()
                if state == TCP_LISTEN:
                    ports.add(int(local.rsplit(":", 1)[1], 16))
    return sorted(ports)


def account_of(uid: int) -> str:
    """The name that the container's own passwd has for `uid`, "" without one."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def surroundings() -> dict[str, Any]:
    """What a process sees of the container it runs in; `container` is "" outside of YARN's containers."""
    system = os.uname()
    with open("/proc/version") as file:
        version = file.read().strip()
    return {
        "container": os.environ.get("CONTAINER_ID", ""),
        "hostname": system.nodename,
        "kernel": system.release,
        "version": version,
        "uid": os.getuid(),
        "account": account_of(os.getuid()),
        "listening": listening_ports(),
    }


def look_around(_: Iterator[int]) -> Iterator[dict[str, Any]]:
    """One task's view; the barrier keeps it in its executor until every other executor has its own."""
    BarrierTaskContext.get().barrier()
    yield surroundings()


def executors_surroundings(spark: Any, count: int) -> dict[str, dict[str, Any]]:
    """Container id -> what it sees, from each of `count` executors of one core: barrier tasks run at once."""
    tasks = spark.sparkContext.parallelize(range(count), count).barrier().mapPartitions(look_around)
    return {facts["container"]: facts for facts in tasks.collect()}


def shuffle_reads(spark: Any) -> dict[str, dict[str, int]]:
    """Executor id -> shuffle blocks and bytes it fetched, summed over every task in Spark's status store."""
    jvm, context = spark.sparkContext._jvm, spark.sparkContext._jsc.sc()
    context.listenerBus().waitUntilEmpty()
    store = context.statusStore()
    no_quantiles = spark.sparkContext._gateway.new_array(jvm.double, 0)
    stages = store.stageList(jvm.java.util.ArrayList(), False, False, no_quantiles, jvm.java.util.ArrayList())
    reads: dict[str, dict[str, int]] = {}
    for stage in scala_list(stages):
        for task in scala_list(store.taskList(stage.stageId(), stage.attemptId(), 1_000_000)):
            if task.taskMetrics().isEmpty():
                continue
            metrics = task.taskMetrics().get().shuffleReadMetrics()
            of_executor = reads.setdefault(
                task.executorId(), {"remote_bytes": 0, "remote_blocks": 0, "local_blocks": 0}
            )
            of_executor["remote_bytes"] += metrics.remoteBytesRead()
            of_executor["remote_blocks"] += metrics.remoteBlocksFetched()
            of_executor["local_blocks"] += metrics.localBlocksFetched()
    return reads


def scala_list(sequence: Any) -> list[Any]:
    """A Scala sequence as a list: py4j iterates Java's collections only."""
    return [sequence.apply(position) for position in range(sequence.size())]


def containers(spark: Any) -> list[dict[str, Any]]:
    """The driver and the executors: what each sees, where Spark reaches it and what it fetched."""
    members = [
        (member.id(), member.hostPort().rsplit(":", 1)[0], member.attributes())
        for member in scala_list(spark.sparkContext._jsc.sc().statusStore().executorList(True))
    ]
    seen = executors_surroundings(spark, len(members) - 1)
    reads = shuffle_reads(spark)
    nothing_read = {"remote_bytes": 0, "remote_blocks": 0, "local_blocks": 0}
    rows = []
    for identifier, host, attributes in members:
        if identifier == "driver":
            role, facts = "driver", surroundings()
        else:
            role, facts = f"executor {identifier}", seen[attributes.apply("CONTAINER_ID")]
        rows.append({"role": role, "host": host, **facts, **reads.get(identifier, nothing_read)})
    return sorted(rows, key=lambda row: row["role"])


def json_value(value: Any) -> Any:
    """A column's value as JSON has it."""
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    return value


def answers(spark: Any, data: str, queries: str) -> dict[str, list[list[Any]]]:
    """Query name -> its rows, over the tables in `data`."""
    for table in TABLES:
        spark.read.parquet(posixpath.join(data, table)).createOrReplaceTempView(table)
    texts = sorted(spark.sparkContext.wholeTextFiles(posixpath.join(queries, "*.sql")).collect())
    rows = {}
    for path, text in texts:
        name = posixpath.basename(path).removesuffix(".sql")
        rows[name] = [[json_value(value) for value in row] for row in spark.sql(text).collect()]
    return rows


def write_text(spark: Any, path: str, text: str) -> None:
    """Write one file of the cluster's file system."""
    jvm = spark.sparkContext._jvm
    target = jvm.org.apache.hadoop.fs.Path(path)
    stream = target.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration()).create(target, True)
    stream.write(text.encode())
    stream.close()


def main() -> None:
    data, queries, results = sys.argv[1:]
    spark = SparkSession.builder.appName("tpch").getOrCreate()
    found = {
        "user": spark.sparkContext.sparkUser(),
        "application": spark.sparkContext.applicationId,
        "answers": answers(spark, data, queries),
        "containers": containers(spark),
    }
    write_text(spark, posixpath.join(results, f"{found['application']}.json"), json.dumps(found))
    spark.stop()


if __name__ == "__main__":
    main()
