"""The policy in force is that of config.toml as it is now, never the one before."""

from __future__ import annotations

import os

import pytest

from tests.harness import CONFIG, RUN, RUNC, PrivateNode
from tests.runtime.faults import disk, free_bytes
from tests.runtime.refusals import Refusals

MISTAKES = {
    "empty": ("", "node"),
    "not-toml": ("foreign = ", "not TOML"),
    "unknown-class": (CONFIG.replace('class = "plain"', 'class = "none"'), "'none'"),
    "unknown-option": (CONFIG.replace("[slots]", "[slots]\nsize = 3"), "slots.size"),
    "unknown-account": (CONFIG.replace('"slot3"', '"nobody-knows"'), "'nobody-knows'"),
    "no-power-of-two": (CONFIG.replace("block = 256", "block = 100"), "ports.block"),
}


@pytest.mark.parametrize(("text", "says"), MISTAKES.values(), ids=MISTAKES)
def test_an_invalid_configuration_refuses_until_it_is_mended(
    node: PrivateNode, refused: Refusals, text: str, says: str
) -> None:
    node.configure(text)
    yarn, foreign = node.yarn_bundle(), node.foreign_bundle()
    refused.create(yarn, "/etc/yarn-kata/config.toml is not valid", says)
    refused.create(foreign, "/etc/yarn-kata/config.toml is not valid", says)
    node.configure(CONFIG)
    yarn.create()
    foreign.create()


def test_no_configuration(node: PrivateNode, refused: Refusals) -> None:
    node.path("/etc/yarn-kata/config.toml").unlink()
    refused.create(node.yarn_bundle(), "there is no /etc/yarn-kata/config.toml")
    refused.create(node.foreign_bundle(), "there is no /etc/yarn-kata/config.toml")


@pytest.mark.parametrize("kind", ["fifo", "folder", "link", "huge", "not-utf-8"])
def test_a_configuration_that_is_no_plain_file(node: PrivateNode, refused: Refusals, kind: str) -> None:
    file = node.path("/etc/yarn-kata/config.toml")
    file.unlink()
    if kind == "fifo":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "link":
        file.symlink_to("/etc/passwd")
    elif kind == "huge":
        file.write_bytes(b"#" * (2 << 20))
    else:
        file.write_bytes(b"\xff")
    try:
        refused.create(node.yarn_bundle(), "/etc/yarn-kata/config.toml is not valid", "cannot be read")
    finally:
        if kind == "folder":
            file.rmdir()


def test_the_old_policy_is_never_used(node: PrivateNode, refused: Refusals) -> None:
    bundle = node.yarn_bundle()
    bundle.create()
    bundle.delete("--force")
    bundle.pid_file.unlink()
    node.configure(CONFIG.replace('"alice", ', ""))
    refused.create(node.yarn_bundle(), "'alice' belongs to no tenant")


def test_accounts_are_looked_up_again_when_they_change(node: PrivateNode, refused: Refusals) -> None:
    passwd = node.path("/etc/passwd")
    before = passwd.read_text()
    passwd.write_text(before.replace("slot1:x:6001:", "slot1:x:0:"))
    try:
        refused.create(node.yarn_bundle(), "slots.accounts", "slot1")
    finally:
        passwd.write_text(before)
    node.yarn_bundle().create()


@pytest.mark.parametrize("missing", [True, False], ids=["missing", "no-program"])
def test_a_runtime_that_cannot_be_executed(node: PrivateNode, missing: bool) -> None:
    file = node.path("/opt/none/runtime")
    file.parent.mkdir(exist_ok=True)
    file.unlink(missing_ok=True)
    if not missing:
        file.write_bytes(b"\0")
        file.chmod(0o755)
    node.configure(CONFIG.replace(RUNC, "/opt/none/runtime"))
    for bundle in (node.yarn_bundle(), node.foreign_bundle()):
        node.log.unlink(missing_ok=True)
        assert bundle.create(check=False).returncode == 1
        assert "/opt/none/runtime cannot be executed" in node.last_log()
        assert len(node.log.read_text().splitlines()) == 1
        assert node.leftovers() == []


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_runtime_that_others_can_write(node: PrivateNode, refused: Refusals, what: str) -> None:
    file = node.path("/opt/open/runtime")
    file.parent.mkdir(exist_ok=True)
    file.write_text("#!/bin/sh\nexit 0\n")
    file.chmod(0o755 if what == "folder" else 0o757)
    file.parent.chmod(0o757 if what == "folder" else 0o755)
    node.configure(CONFIG.replace(RUNC, "/opt/open/runtime"))
    refused.create(node.yarn_bundle(), "/opt/open/runtime, which others than root can change")


def test_a_damaged_compiled_policy_is_made_anew(node: PrivateNode) -> None:
    node.yarn_bundle().create()
    compiled = node.path(f"{RUN}/policy.json")
    content = compiled.read_bytes()
    for damaged in (b"", b"{}", b"[]", content[: len(content) // 2], content.replace(b'"stamp"', b'"stomp"')):
        compiled.write_bytes(damaged)
        node.yarn_bundle(user="bob", application=2).launch().delete("--force")
        assert compiled.read_bytes() == content


def test_a_policy_that_cannot_be_written(node: PrivateNode, refused: Refusals) -> None:
    with disk(node, 1024) as folder, free_bytes(folder, 0):
        refused.create(node.yarn_bundle(), "config.toml could not be compiled", "config check")
