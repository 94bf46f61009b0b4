"""A Go release from its module zip, which keeps no modes and no go.mod of nested modules."""

from __future__ import annotations

from pathlib import Path

from integration import gvisor


def test_a_toolchain_is_arranged(tmp_path: Path) -> None:
    for name in ("bin/go", "pkg/tool/linux_amd64/compile", "src/_go.mod", "src/fmt/print.go"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch(mode=0o444)
    (tmp_path / "src").chmod(0o555)
    gvisor._arrange(tmp_path)
    assert (tmp_path / "bin/go").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "pkg/tool/linux_amd64/compile").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "src/go.mod").exists()
    assert not (tmp_path / "src/_go.mod").exists()


def test_the_built_binary_is_kept_by_version() -> None:
    assert gvisor.VERSION in gvisor.binary().parts
