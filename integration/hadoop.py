"""Hadoop's jars from Maven Central, and the genuine container-executor where somebody has Hadoop."""

import hashlib
import os
import shutil
import tarfile
import xml.etree.ElementTree
from pathlib import Path

from integration.paths import INTEGRATION, cache
from integration.shell import ClusterError, run, step

POM = INTEGRATION / "hadoop-pom.xml"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"


def version() -> str:
    """The Hadoop version that the pom names."""
    tag = ".//{http://maven.apache.org/POM/4.0.0}hadoop.version"
    return str(xml.etree.ElementTree.parse(POM).findtext(tag))


def home() -> Path:
    """What the nodes have at /opt/hadoop: all jars in lib/, and the folders that HDFS looks for."""
    digest = hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    return cache() / f"hadoop-{version()}-{digest}"


def fetch() -> None:
    """Resolve the pom into `home()`; checksums are verified (-C)."""
    if home().exists():
        return
    scratch = home().with_suffix(".partial")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    with step(f"fetching Hadoop {version()}"):
        run(
            [
                "mvn",
                "-q",
                "-B",
                "-C",
                f"--file={POM}",
                COPY,
                "-DincludeScope=runtime",
                f"-DoutputDirectory={scratch / 'lib'}",
            ]
        )
        for web in ("hdfs", "datanode"):  # the HDFS daemons want these on their classpath, empty will do
            (scratch / "webapps" / web).mkdir(parents=True)
        scratch.rename(home())


def genuine_container_executor() -> Path | None:
    """The container-executor of HADOOP_HOME or of the tarball HADOOP_DIST, None if neither is set.

    ClusterError if one is set and has none.
    """
    hadoop_home, tarball = os.environ.get("HADOOP_HOME"), os.environ.get("HADOOP_DIST")
    if hadoop_home:
        program = Path(hadoop_home) / "bin/container-executor"
        if not program.is_file():
            raise ClusterError(f"HADOOP_HOME={hadoop_home} has no bin/container-executor: unset it or correct it")
        return program
    return _extract(Path(tarball)) if tarball else None


def _extract(tarball: Path) -> Path:
    if not tarball.is_file():
        raise ClusterError(f"HADOOP_DIST={tarball} is no file: unset it or give Hadoop's binary tarball")
    about = tarball.stat()
    target = cache() / f"container-executor-{about.st_size}-{about.st_mtime_ns}"
    if not target.exists():
        with tarfile.open(tarball) as archive:
            member = next((m for m in archive if m.name.endswith("/bin/container-executor")), None)
            source = archive.extractfile(member) if member else None
            if source is None:
                raise ClusterError(f"HADOOP_DIST={tarball} has no bin/container-executor: give the binary tarball")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read())
    return target
