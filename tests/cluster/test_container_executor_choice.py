"""Which container-executor the cluster runs."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from integration import hadoop, tree
from integration.shell import ClusterError


@pytest.fixture(autouse=True)
def own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YARN_KATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HADOOP_HOME", raising=False)
    monkeypatch.delenv("HADOOP_DIST", raising=False)


def tarball(path: Path, member: str) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        about = tarfile.TarInfo(member)
        about.size = 4
        archive.addfile(about, io.BytesIO(b"ELF!"))
    return path


def test_a_stand_in_where_there_is_no_hadoop() -> None:
    assert hadoop.genuine_container_executor() is None
    assert "stand-in" in tree.container_executor()


def test_the_one_of_hadoop_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/container-executor"
    program.touch()
    monkeypatch.setenv("HADOOP_HOME", str(tmp_path))
    assert hadoop.genuine_container_executor() == program
    assert tree.container_executor() == f"the genuine container-executor of {program}"


def test_the_one_of_a_tarball(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HADOOP_DIST", str(tarball(tmp_path / "h.tar.gz", "hadoop-3.4.2/bin/container-executor")))
    found = hadoop.genuine_container_executor()
    assert found is not None
    assert found.read_bytes() == b"ELF!"
    assert hadoop.genuine_container_executor() == found


@pytest.mark.parametrize("variable", ["HADOOP_HOME", "HADOOP_DIST"])
def test_one_that_is_not_there(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "nothing"))
    with pytest.raises(ClusterError, match=f"{variable}=.*nothing"):
        hadoop.genuine_container_executor()


def test_a_tarball_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HADOOP_DIST", str(tarball(tmp_path / "src.tar.gz", "hadoop-3.4.2-src/README")))
    with pytest.raises(ClusterError, match="has no bin/container-executor"):
        hadoop.genuine_container_executor()
