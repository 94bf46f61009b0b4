"""Where the mini-cluster keeps its things on the outer machine."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
INTEGRATION = REPOSITORY / "integration"
HADOOP_CONF_TEMPLATES = REPOSITORY / "hadoop-conf"


def cache() -> Path:
    """Downloads, builds and the engine's images: kept between runs and between clones."""
    chosen = os.environ.get("YARN_KATA_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "yarn-kata-runtime"


RUN = Path("/run/yarn-kata-cluster")
"""Pid files and sockets of what the cluster started; gone after a reboot, as are the processes."""
