"""TPC-H tables as parquet files, made by tpchgen-cli on this machine, and the queries asked of them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from integration.shell import run

SCALE = "0.01"
FILES_A_TABLE = 2  # so that more than one task reads, and a join has something to shuffle
QUERIES = Path(__file__).parent / "jobs" / "queries"


def tables(cache: Path) -> Path:
    """The folder with one folder of parquet files a table; made in `cache` when it is not there yet."""
    folder = cache / f"tpch-{SCALE}"
    if not folder.exists():
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        generate(unfinished)
        unfinished.rename(folder)
    return folder


def generate(folder: Path) -> None:
    """Write the tables below `folder`; a ClusterError has the generator's own words."""
    generator = Path(sys.executable).parent / "tpchgen-cli"
    amount = [f"--scale-factor={SCALE}", f"--parts={FILES_A_TABLE}"]
    run([generator, "parquet", "--quiet", *amount, f"--output-dir={folder}"])
