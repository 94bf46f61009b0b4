"""What is wrong with a bundle must be said, and must not be followed, waited for or run."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.harness import PrivateNode
from tests.runtime.refusals import Refusals

NOT_SPECS = {
    "empty": b"",
    "not-json": b"{ociVersion: 1}",
    "truncated": b'{"ociVersion": "1.0.2", "process": {"args": ["sh"',
    "not-utf-8": b'{"ociVersion": "\xff"}',
    "list": b"[]",
    "number": b"7",
    "two-values": b"{} {}",
    "deep": b"[" * 100_000,
    "no-process": b"{}",
    "process-is-text": b'{"process": "sh"}',
    "args-are-numbers": b'{"process": {"args": [1], "cwd": "/"}, "root": {"path": "rootfs"}}',
    "nul": b'{"process": {"args": ["a\\u0000b"], "cwd": "/"}, "root": {"path": "rootfs"}}',
    "keys-by-case": b'{"process": {"args": ["sh"], "Args": ["id"], "cwd": "/"}, "root": {"path": "rootfs"}}',
    "nan": b'{"process": NaN}',
}


@pytest.mark.parametrize("content", NOT_SPECS.values(), ids=NOT_SPECS)
def test_what_is_no_spec(node: PrivateNode, refused: Refusals, content: bytes) -> None:
    bundle = node.yarn_bundle()
    bundle.config.write_bytes(content)
    refused.create(bundle, "spec")
    assert bundle.create("run", check=False).returncode == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("process", {"args": ["sh"], "cwd": "/", "user": {"uid": -1}}),
        ("process", {"args": ["sh"], "cwd": "/", "user": {"uid": 2**32}}),
        ("process", {"args": [], "cwd": "/"}),
        ("root", "rootfs"),
        ("mounts", {"destination": "/"}),
        ("mounts", [{"source": "/"}]),
        ("annotations", {"a": 1}),
        ("linux", {"namespaces": "all"}),
        ("linux", {"cgroupsPath": 7}),
    ],
)
def test_wrong_types_are_named(node: PrivateNode, refused: Refusals, field: str, value: object) -> None:
    bundle = node.yarn_bundle()
    with bundle.changed() as spec:
        spec[field] = value
    refused.create(bundle, field)


def test_a_huge_spec(node: PrivateNode, refused: Refusals) -> None:
    bundle = node.yarn_bundle()
    with bundle.config.open("r+b") as config:
        config.truncate(1 << 40)  # sparse: read whole, it would not fit into memory
    refused.create_unread(bundle, "config.json has more than")


def test_a_symbolic_link(node: PrivateNode, refused: Refusals) -> None:
    bundle = node.yarn_bundle()
    real = bundle.config.rename(bundle.path / "real.json")
    bundle.config.symlink_to(real)
    refused.create(bundle, "config.json is a symbolic link")
    assert bundle.config.is_symlink()


def test_a_fifo_is_not_waited_for(node: PrivateNode, refused: Refusals) -> None:
    bundle = node.yarn_bundle()
    bundle.config.unlink()
    os.mkfifo(bundle.config)
    refused.create(bundle, "config.json is no regular file")


def test_a_folder(node: PrivateNode, refused: Refusals) -> None:
    bundle = node.yarn_bundle()
    bundle.config.unlink()
    bundle.config.mkdir()
    refused.create(bundle, "config.json is no regular file")


def test_a_missing_spec(node: PrivateNode, refused: Refusals) -> None:
    bundle = node.yarn_bundle()
    bundle.config.unlink()
    refused.create(bundle, "config.json cannot be read: No such file or directory")


def test_a_missing_bundle(node: PrivateNode, refused: Refusals) -> None:
    bundle = node.yarn_bundle()
    shutil.rmtree(bundle.path)
    refused.create(bundle, f"{bundle.path}/config.json cannot be read")


def test_a_bundle_that_vanishes_from_a_living_container(node: PrivateNode) -> None:
    bundle = node.yarn_bundle().launch("10.88.3.1")
    shutil.rmtree(bundle.path)
    assert bundle.state()["status"] == "running"
    node.runtime("kill", bundle.id, "KILL")
    bundle.wait_stopped()
    bundle.delete()
    assert node.leftovers() == []


def test_a_bundle_that_vanishes_before_start_can_be_deleted(node: PrivateNode, refused: Refusals) -> None:
    bundle = node.yarn_bundle()
    bundle.create()
    shutil.rmtree(bundle.path)
    refused.call("start", bundle.id, says=["pid", bundle.container])
    bundle.delete("--force")
    assert node.leftovers() == []


def test_a_bundle_on_a_full_disk(node: PrivateNode, refused: Refusals) -> None:
    bundle = node.yarn_bundle()
    spec = bundle.config.read_bytes()
    size = len(spec) // 4096 * 4096 + 4096
    node.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(bundle.path)])
    try:
        inside = node.path(bundle.config)
        inside.write_bytes(spec)
        refused.create_unread(bundle, "config.json cannot be written: No space left on device")
        assert inside.read_bytes() == spec
        assert os.listdir(inside.parent) == ["config.json"]
    finally:
        node.run(["umount", str(bundle.path)])
