"""The recorded command files become the docker command lines that the genuine container-executor ran."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from integration.container_executor.configuration import Configuration, split
from integration.container_executor.docker_command import DockerCommand

RECORDED = Path(__file__).parent / "recorded"
SCENARIOS = sorted(file.stem for file in RECORDED.glob("*.cmd"))
MADE_HERE = ("/var/lib/hadoop-yarn", "/etc/hadoop", "/opt/spark", "/opt/hadoop", "/srv/yarn")

CONFIGURATION = """
[docker]
  docker.allowed.runtimes=rec-runtime,fix-runtime
  docker.allowed.networks=bridge,host
  docker.allowed.ro-mounts=/etc/passwd,/etc/group,/etc/hadoop,/opt/spark,/opt/hadoop,/var/lib/hadoop-yarn/nm/local
  docker.allowed.rw-mounts=/var/lib/hadoop-yarn/nm/local,/var/lib/hadoop-yarn/nm/log,/srv/yarn/dfs
  docker.allowed.capabilities=SYS_CHROOT,MKNOD,SETFCAP,SETPCAP,FSETID,CHOWN,AUDIT_WRITE,SETGID,NET_RAW,FOWNER,\
SETUID,DAC_OVERRIDE,KILL,NET_BIND_SERVICE
  docker.trusted.registries=local
"""


def moved(text: str, to: Path) -> str:
    """The text with the recorded node's folders below `to`."""
    return re.sub("|".join(MADE_HERE), lambda found: f"{to}{found[0]}", text)


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configuration:
    monkeypatch.setattr("integration.container_executor.configuration._only_root_may_write", lambda path: None)
    file = tmp_path / "container-executor.cfg"
    file.write_text(moved(CONFIGURATION, tmp_path))
    settings = Configuration(str(file))
    for folder in (*settings.docker("allowed.ro-mounts"), *settings.docker("allowed.rw-mounts")):
        if folder.startswith(str(tmp_path)):
            Path(folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / "etc/hadoop/resolv.conf").touch()
    return settings


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_docker_command_line(scenario: str, tmp_path: Path, configuration: Configuration) -> None:
    text = moved((RECORDED / f"{scenario}.cmd").read_text(), tmp_path)
    for mount in split(re.search(r"mounts=(.*)", text)[1] if "mounts=" in text else ""):  # type: ignore[index]
        source = Path(mount.split(":")[0])
        if not source.exists():
            source.mkdir(parents=True)
    expected = moved((RECORDED / f"{scenario}.argv").read_text(), tmp_path).splitlines()
    assert DockerCommand("x.cmd", text, configuration).argv == ["/usr/bin/docker", *expected]


def test_there_are_records() -> None:
    assert {name.partition(".")[2] for name in SCENARIOS} == {"run", "inspect", "kill"}
