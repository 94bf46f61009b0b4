"""Records: complete at once or not there, one a container, and read back as they were written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yarn_kata_runtime import paths
from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.native.build import compile_launcher
from yarn_kata_runtime.runtime import record
from yarn_kata_runtime.runtime.record import Record

words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of /run/yarn-kata."""
    monkeypatch.setattr(paths, "RUN", str(tmp_path))
    return tmp_path


def _record(root: str = "") -> Record:
    return Record(record.YARN, 1, 1000, root, ["/usr/sbin/runc", "--debug"])


def _fields(one: Record | None) -> tuple[object, ...]:
    assert one is not None
    return (one.kind, one.creator, one.grace_ms, one.root, one.argv)


@given(
    kind=st.sampled_from([record.YARN, record.FOREIGN]),
    creator=st.integers(0, 2**22),
    grace=st.integers(0, 300_000),
    root=words,
    argv=st.lists(words, min_size=1),
)
def test_what_is_written_is_read(kind: str, creator: int, grace: int, root: str, argv: list[str]) -> None:
    one = Record(kind, creator, grace, root, argv)
    assert _fields(record._decoded(record.encoded(one))) == (kind, creator, grace, root, argv)


@given(content=st.binary(max_size=200))
def test_anything_else_is_a_value_error(content: bytes) -> None:
    try:
        decoded = record._decoded(content)
    except ValueError:
        return
    assert decoded.kind in (record.YARN, record.FOREIGN) and decoded.argv


def test_a_container_has_one_record(run: Path) -> None:
    record.create("c@1", _record("/first"))
    with pytest.raises(FileExistsError):
        record.create("c@1", _record("/second"))
    assert os.listdir(run / "containers") == ["c@1"]
    assert _fields(record.read("c@1"))[3] == "/first"
    record.remove("c@1")
    record.remove("c@1")
    assert record.read("c@1") is None
    record.create("c@1", _record("/second"))
    assert _fields(record.read("c@1"))[3] == "/second"


def test_records_are_roots_alone(run: Path) -> None:
    record.create("c@1", _record())
    modes = {path.name: path.stat().st_mode & 0o777 for path in (run / "containers").rglob("*")}
    assert modes == {"c@1": 0o700, "delegate": 0o600}
    assert (run / "containers").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("content", [b"", b"yarn\0", b"yarn\0a\x000\0\0/runc\0", b"yarn\x001\x000\0\0", b"x" * 70_000])
def test_a_damaged_record_is_refused(run: Path, content: bytes) -> None:
    record.create("c@1", _record())
    (run / "containers" / "c@1" / "delegate").write_bytes(content)
    with pytest.raises(Refused, match=r"the record .*/containers/c@1 is damaged .* reconcile"):
        record.read("c@1")


def test_a_link_in_place_of_a_record_is_refused(run: Path) -> None:
    record.create("c@1", _record())
    file = run / "containers" / "c@1" / "delegate"
    file.rename(run / "elsewhere")
    file.symlink_to(run / "elsewhere")
    with pytest.raises(Refused, match="symbolic link"):
        record.read("c@1")


def test_the_key_is_the_launchers(tmp_path: Path) -> None:
    """The launcher, in C, finds the record that Python wrote, for any --root."""
    launcher = tmp_path / "launcher"
    compile_launcher(launcher, python="/bin/false", run_dir=str(tmp_path), flags=())
    (tmp_path / "containers").mkdir()
    for number, root in enumerate(["", "/run/docker/runtime-runc/moby", "/a b/ü/%s", "x" * 3000]):
        folder = tmp_path / "containers" / record.key_of(f"c{number}", root)
        folder.mkdir()
        (folder / "delegate").write_bytes(record.encoded(Record(record.YARN, 1, 0, root, ["/bin/echo", "found"])))
        done = subprocess.run([launcher, "--root", root, "state", f"c{number}"], capture_output=True, text=True)
        assert done.stdout == f"found --root {root} state c{number}\n"
        assert subprocess.run([launcher, "--root", f"{root}/", "state", f"c{number}"]).returncode == 1
