"""A node whose configuration, state and accounts are the test's own."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from yarn_kata_runtime import paths

ACCOUNTS = {"root": 0, "yarn": 5000, "nobody": 65534, "slot1": 6001, "slot2": 6002, "slot3": 6003}
GROUPS = {"root": 0, "hadoop": 5000, "nobody": 65534, "slot1": 6001, "slot2": 6002, "slot3": 6003}


class Accounts:
    """The node's accounts and groups, name -> number; tests change them."""

    def __init__(self) -> None:
        self.uids = dict(ACCOUNTS)
        self.gids = dict(GROUPS)
        self.primary: dict[str, int] = {}  # where it is not the uid

    def user(self, name: str) -> pwd.struct_passwd:
        uid = self.uids[name]
        return pwd.struct_passwd((name, "x", uid, self.primary.get(name, uid), "", "/", "/bin/false"))

    def group(self, name: str) -> grp.struct_group:
        return grp.struct_group((name, "x", self.gids[name], []))


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch) -> Accounts:
    """Accounts in place of the machine's."""
    made = Accounts()
    monkeypatch.setattr(pwd, "getpwnam", made.user)
    monkeypatch.setattr(grp, "getgrnam", made.group)
    return made


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needs_root: None, accounts: Accounts) -> Path:
    """The path of the node's config.toml, which is not there yet; the node's state is empty."""
    path = tmp_path / "config.toml"
    monkeypatch.setattr(paths, "CONFIG", str(path))
    monkeypatch.setattr(paths, "RUN", str(tmp_path / "run"))
    return path


@pytest.fixture
def write(config: Path) -> Callable[[str], None]:
    """Write the node's config.toml."""

    def put(text: str) -> None:
        config.write_text(text)

    return put
