"""Spark from PyPI's pyspark, unpacked and otherwise as published."""

import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

from integration.paths import INTEGRATION, cache
from integration.shell import ClusterError, run, step

REQUIREMENTS = INTEGRATION / "spark-requirements.txt"


def version() -> str:
    """The version that the requirements file pins."""
    for line in REQUIREMENTS.read_text().splitlines():
        if line.startswith("pyspark=="):
            return line.removeprefix("pyspark==").split()[0]
    raise ClusterError(f"{REQUIREMENTS} pins no pyspark")


def home() -> Path:
    """What the nodes have at /opt/spark: SPARK_HOME with bin/, jars/ and python/."""
    return cache() / f"spark-{version()}"


def fetch() -> None:
    """Download the pinned archive (pip checks its hash) and unpack it to `home()`."""
    if home().exists():
        return
    cache().mkdir(parents=True, exist_ok=True)
    with step(f"fetching Spark {version()}"), tempfile.TemporaryDirectory(dir=cache()) as folder:
        download = ["download", "--quiet", "--no-deps", "--no-binary=:all:", f"--dest={folder}"]
        run([sys.executable, "-m", "pip", *download, "--require-hashes", f"--requirement={REQUIREMENTS}"])
        archive = Path(folder) / f"pyspark-{version()}.tar.gz"
        with tarfile.open(archive) as file:
            file.extractall(folder)
        _arrange(archive.with_suffix("").with_suffix(""), Path(folder) / "home")
        (Path(folder) / "home").rename(home())


def _arrange(sdist: Path, target: Path) -> None:
    """The sdist's parts as an installed Spark has them."""
    target.mkdir()
    for part in ("bin", "sbin", "jars"):
        shutil.move(sdist / "deps" / part, target / part)
    (target / "python").mkdir()
    shutil.move(sdist / "lib", target / "python" / "lib")
    shutil.move(sdist / "pyspark", target / "python" / "pyspark")
