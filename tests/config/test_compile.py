"""From config.toml to what the verbs read: names resolved on the node, and always a file that says so."""

from __future__ import annotations

import os
import runpy
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.config.conftest import Accounts
from tests.config.examples import FULL, MINIMAL, changed
from yarn_kata_runtime import paths, plainjson
from yarn_kata_runtime.config.compile import Invalid, compile_file, compile_policy, read
from yarn_kata_runtime.config.model import DEFAULT_CAPABILITIES
from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.runtime import policy, record

Write = Callable[[str], None]

GVISOR = {
    "name": "gvisor",
    "driver": "oci",
    "argv": ["/usr/local/bin/runsc", "--platform=systrap", "--debug-log=/var/log/runsc/"],
    "ports": "init",
    "networks": ["bridge", "host"],
    "mounts_ro": ["/opt"],
    "mounts_rw": ["/srv"],
    "capabilities": ["CAP_KILL"],
    "devices": True,
    "no_new_privileges": False,
    "kill_grace_ms": 2500,
    "pids": 4096,
    "open_files": 65536,
}
PLAIN = {
    "name": "plain",
    "driver": "oci",
    "argv": ["/usr/bin/env"],
    "ports": "sysctl",
    "networks": ["bridge"],
    "mounts_ro": ["/etc/passwd", "/etc/group"],
    "mounts_rw": [],
    "capabilities": DEFAULT_CAPABILITIES,
    "devices": False,
    "no_new_privileges": True,
    "kill_grace_ms": 1000,
    "pids": 0,
    "open_files": 0,
}
COMPILED = {
    "node": {
        "hostname": "node1.example.org",
        "local_dirs": ["/data1/local", "/data2/local"],
        "log_dirs": ["/data1/log", "/data2/log"],
        "nm_uid": 5000,
        "nm_gid": 5000,
        "nonsecure_uid": 65534,
        "share_hosts": False,
    },
    "foreign": PLAIN,
    "classes": {
        "plain": PLAIN,
        "gvisor": GVISOR,
        "forced": PLAIN | {"name": "forced", "argv": ["/usr/bin/true"], "ports": "init"},
    },
    "tenants": [
        {"name": "analytics", "users": ["alice", "team-*"], "runtime_class": "gvisor", "max_containers": 20},
        {"name": "", "users": ["b?b"], "runtime_class": "forced", "max_containers": 0},
    ],
    "slots": {
        "mode": "on",
        "accounts": [
            {"account": "slot1", "uid": 6001, "gid": 6001},
            {"account": "slot2", "uid": 6002, "gid": 6002},
        ],
    },
    "ports": {"mode": "on", "first": 20480, "last": 24575, "block": 128},
}


class TestPolicy:
    def test_everything(self, write: Write, config: Path) -> None:
        write(FULL)
        assert compile_policy(read(str(config))) == COMPILED

    @pytest.mark.parametrize(
        ("path", "given", "who"),
        [
            ("/usr/bin/true", "auto", "sysctl"),
            ("/usr/local/bin/runsc", "auto", "init"),
            ("/usr/local/bin/runsc", "sysctl", "sysctl"),
            ("/usr/bin/true", "init", "init"),
            ("/opt/runsc/crun", "auto", "sysctl"),
        ],
    )
    def test_who_narrows_the_ports(self, path: str, given: str, who: str, write: Write, config: Path) -> None:
        write(changed(MINIMAL, 'path = "/usr/bin/true"', f'path = "{path}"\nports = "{given}"'))
        assert compile_policy(read(str(config)))["classes"]["runc"]["ports"] == who

    def test_without_non_secure_mode(self, write: Write, config: Path) -> None:
        write(MINIMAL)
        assert compile_policy(read(str(config)))["node"]["nonsecure_uid"] == -1


class TestAccounts:
    def refused(self, write: Write, config: Path, text: str) -> str:
        write(text)
        with pytest.raises(Invalid) as invalid:
            compile_policy(read(str(config)))
        (sentence,) = invalid.value.args
        return str(sentence)

    @pytest.mark.parametrize(
        ("name", "sentence"),
        [
            ("slot2", "slots.accounts: there is no account 'slot2' on this node; create it"),
            ("yarn", "node.yarn_user: there is no account 'yarn' on this node; create it"),
            ("nobody", "node.nonsecure_user: there is no account 'nobody' on this node; create it"),
        ],
    )
    def test_a_missing_account(
        self, name: str, sentence: str, write: Write, config: Path, accounts: Accounts
    ) -> None:
        del accounts.uids[name]
        assert self.refused(write, config, FULL) == sentence

    @pytest.mark.parametrize(
        ("name", "sentence"),
        [
            ("slot2", "slots.accounts: there is no group 'slot2' on this node; create it"),
            ("hadoop", "node.yarn_group: there is no group 'hadoop' on this node; create it"),
        ],
    )
    def test_a_missing_group(
        self, name: str, sentence: str, write: Write, config: Path, accounts: Accounts
    ) -> None:
        del accounts.gids[name]
        assert self.refused(write, config, FULL) == sentence

    @pytest.mark.parametrize(
        ("uid", "whose"), [(0, "root"), (5000, "yarn"), (65534, "nobody"), (6001, "slot1")]
    )
    def test_the_uid_of_somebody_else(
        self, uid: int, whose: str, write: Write, config: Path, accounts: Accounts
    ) -> None:
        accounts.uids["slot2"] = uid
        assert self.refused(write, config, FULL) == (
            f"slots.accounts: 'slot2' has uid {uid}, which is {whose}'s; give each slot a uid of its own"
        )

    @pytest.mark.parametrize(("gid", "whose"), [(0, "root"), (5000, "hadoop"), (6001, "slot1")])
    def test_the_group_of_somebody_else(
        self, gid: int, whose: str, write: Write, config: Path, accounts: Accounts
    ) -> None:
        accounts.primary["slot2"] = accounts.gids["slot2"] = gid
        assert self.refused(write, config, FULL) == (
            f"slots.accounts: 'slot2' has gid {gid}, which is {whose}'s; give each slot a gid of its own"
        )

    def test_a_primary_group_of_another_name(self, write: Write, config: Path, accounts: Accounts) -> None:
        accounts.primary["slot2"] = 100
        assert self.refused(write, config, FULL) == (
            "slots.accounts: the primary group of 'slot2' is not the group of the same name"
        )

    @pytest.mark.parametrize("account", ["root", "yarn", "nobody"])
    def test_a_slot_that_is_the_service_itself(self, account: str, write: Write, config: Path) -> None:
        assert f"'{account}' has uid" in self.refused(write, config, changed(FULL, '"slot2"', f'"{account}"'))


class TestRuntimePath:
    def test_others_than_root_can_change_it(self, tmp_path: Path, write: Write, config: Path) -> None:
        """The tests' folder is below /tmp, where everybody writes."""
        runtime = tmp_path / "runsc"
        runtime.write_text("")
        write(changed(MINIMAL, "/usr/bin/true", str(runtime)))
        with pytest.raises(Invalid) as invalid:
            compile_policy(read(str(config)))
        assert invalid.value.args == (
            f"classes.runc.path is {runtime}, which others than root can change; "
            "chown and chmod it and every folder above it",
        )

    @pytest.mark.parametrize("mode", [0o666, 0o664, 0o646])
    def test_a_file_that_others_can_change(self, mode: int, write: Write, config: Path) -> None:
        write(FULL)
        config.chmod(mode)
        with pytest.raises(Invalid, match=f"others than root can change {config}; run: chown"):
            read(str(config))

    def test_a_file_or_folder_of_somebody_else(self, write: Write, config: Path) -> None:
        write(FULL)
        for path in (config, config.parent):
            os.chown(path, 1234, 0)
            with pytest.raises(Invalid, match=f"others than root can change {path}; run: chown"):
                read(str(config))
            os.chown(path, 0, 0)
        read(str(config))

    def test_one_that_is_not_there_yet(self, write: Write, config: Path) -> None:
        """It can be installed later: until then its containers are refused one by one."""
        write(changed(MINIMAL, "/usr/bin/true", "/usr/bin/there-is-no-such-runtime"))
        found = compile_policy(read(str(config)))
        assert found["classes"]["runc"]["argv"] == ["/usr/bin/there-is-no-such-runtime"]


class TestFile:
    def test_a_valid_one(self, write: Write) -> None:
        write(FULL)
        result = compile_file()
        assert result == {"stamp": policy.stamp(), "error": None, "policy": COMPILED}
        assert plainjson.load_object(Path(paths.policy()).read_bytes()) == result
        modes = [os.stat(path).st_mode & 0o777 for path in (paths.RUN, paths.policy(), paths.foreign())]
        assert modes == [0o711, 0o600, 0o600]
        assert policy.load() == COMPILED

    def test_the_record_of_containers_that_are_not_yarns(self, write: Write) -> None:
        """The launcher reads it, so it needs no interpreter for them."""
        write(FULL)
        compile_file()
        assert Path(paths.foreign()).read_bytes() == b"foreign\x000\x000\x00\x00/usr/bin/env\x00"
        assert record.FOREIGN == "foreign"

    def test_an_invalid_one_refuses_everything(self, write: Write) -> None:
        write(FULL)
        compile_file()
        foreign = Path(paths.foreign()).read_bytes()
        write(changed(FULL, "block = 128", "block = 100"))
        result = compile_file()
        error = "ports: ports.block is 100; it must be a power of two, such as 256"
        assert result == {"stamp": policy.stamp(), "error": error, "policy": None}
        assert plainjson.load_object(Path(paths.policy()).read_bytes()) == result
        with pytest.raises(Refused) as refusal:
            policy.load()
        assert (
            str(refusal.value) == f"{paths.CONFIG} is not valid: {error}; see yarn-kata-runtime config check"
        )
        assert Path(paths.foreign()).read_bytes() == foreign, "what is not YARN's goes on as before"

    def test_mended(self, write: Write) -> None:
        write("")
        compile_file()
        write(FULL)
        assert compile_file()["policy"] == policy.load() == COMPILED

    def test_an_account_that_is_gone(self, write: Write, accounts: Accounts) -> None:
        write(FULL)
        del accounts.uids["slot1"]
        assert (
            compile_file()["error"] == "slots.accounts: there is no account 'slot1' on this node; create it"
        )

    def test_nothing_half_done_is_left(self, write: Write) -> None:
        for text in (FULL, "", FULL):
            write(text)
            compile_file()
        assert sorted(os.listdir(paths.RUN)) == ["foreign", "policy.json"]

    def test_as_a_program(self, write: Write) -> None:
        """The verbs run it as `python -m yarn_kata_runtime.config.compile`."""
        write(FULL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # it is imported by these tests already
            runpy.run_module("yarn_kata_runtime.config.compile", run_name="__main__")
        assert policy.load() == COMPILED


class TestUnreadable:
    """Whatever is at the file's place: an error in the compiled file, and no waiting."""

    def error(self) -> str:
        result = compile_file()
        assert result["policy"] is None and result["error"] is not None
        with pytest.raises(Refused, match="is not valid"):
            policy.load()
        return result["error"]

    def test_none(self, config: Path) -> None:
        assert self.error() == f"there is no {config}; write one, docs/configuration.md has an example"

    def test_a_symbolic_link(self, config: Path, tmp_path: Path) -> None:
        (tmp_path / "real.toml").write_text(FULL)
        config.symlink_to("real.toml")
        assert self.error() == f"it cannot be read: {config} is a symbolic link; put a regular file there"

    def test_a_huge_file(self, config: Path) -> None:
        with config.open("wb") as file:
            file.truncate(1 << 30)
        assert self.error() == f"it cannot be read: {config} has more than 1048576 bytes; make it smaller"

    def test_not_utf_8(self, config: Path) -> None:
        config.write_bytes(FULL.encode().replace(b"alice", b"al\xefce"))
        assert self.error().startswith("it cannot be read: 'utf-8' codec can't decode byte 0xef in position")

    def test_a_fifo(self, config: Path) -> None:
        os.mkfifo(config)
        assert "is no regular file" in self.error()

    def test_a_folder(self, config: Path) -> None:
        config.mkdir()
        assert "is no regular file" in self.error()


class TestStamp:
    def test_it_changes_with_the_file(self, write: Write, config: Path) -> None:
        stamps = [policy.stamp()]
        write(MINIMAL)
        stamps.append(policy.stamp())
        write(FULL)
        stamps.append(policy.stamp())
        os.utime(config, (1, 1))
        stamps.append(policy.stamp())
        other = config.with_name("other")
        other.write_text(FULL)
        os.utime(other, (1, 1))
        other.rename(config)
        stamps.append(policy.stamp())
        config.unlink()
        assert len({*stamps}) == 5
        assert policy.stamp() == stamps[0]

    def test_it_is_the_same_for_the_same_file(self, write: Write) -> None:
        write(FULL)
        assert policy.stamp() == policy.stamp()

    @pytest.mark.parametrize("file", ["/etc/passwd", "/etc/group"])
    def test_it_changes_with_the_accounts(
        self, file: str, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(FULL)
        before = policy.stamp()
        real = os.stat
        monkeypatch.setattr(os, "stat", lambda path: real("/etc/hostname" if path == file else path))
        assert policy.stamp() != before

    def test_a_change_makes_the_compiled_file_stale(
        self, write: Write, config: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The old policy is never used: if the new one cannot be had, there is none."""
        write(FULL)
        compile_file()
        os.utime(config, (1, 1))
        monkeypatch.setattr(policy, "interpreter", lambda: "/usr/bin/false")
        with pytest.raises(Refused, match="could not be compiled"):
            policy.load()

    def test_no_interpreter(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        write(FULL)
        monkeypatch.setattr(policy, "interpreter", lambda: "/usr/bin/there-is-none")
        with pytest.raises(
            Refused, match="/usr/bin/there-is-none cannot be executed .*install yarn-kata-runtime again"
        ):
            policy.load()

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"stamp": 1}'])
    def test_a_damaged_compiled_file(
        self, content: bytes, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(FULL)
        compile_file()
        Path(paths.policy()).write_bytes(content)
        monkeypatch.setattr(policy, "interpreter", lambda: "/usr/bin/false")
        with pytest.raises(Refused, match="could not be compiled"):
            policy.load()
