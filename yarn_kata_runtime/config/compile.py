"""From config.toml to what the OCI verbs read; run as a module whenever the file has changed.

The result is written whether the file is valid or not: an invalid one refuses every container with its
error until it is mended.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from yarn_kata_runtime import compiled, paths, plainjson
from yarn_kata_runtime.config.model import Config, RuntimeClass
from yarn_kata_runtime.node import files
from yarn_kata_runtime.runtime import policy, record

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_LIMIT = 1024 * 1024


class Invalid(Exception):
    """The configuration cannot be used; each argument is one mistake, in a sentence."""

    def __str__(self) -> str:
        return "; ".join(map(str, self.args))


def read(path: str) -> Config:
    """Return the configuration in `path`; raise Invalid naming every mistake in it."""
    _check_writers(path)
    try:
        text = files.read_file(path, _LIMIT)
        return Config.model_validate(tomllib.loads(text.decode()))
    except FileNotFoundError:
        raise Invalid(f"there is no {path}; write one, docs/configuration.md has an example") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"it cannot be read: {error}") from None
    except ValidationError as error:
        raise Invalid(*map(_sentence, error.errors())) from None
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, a number or an array too long for Python
        raise Invalid(f"it is not TOML: {error}") from None


def _check_writers(path: str) -> None:
    """Policy that others can write is no policy."""
    for name in (str(Path(path).parent), path):
        if os.path.lexists(name):
            found = os.lstat(name)
            if found.st_uid != 0 or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not stat.S_ISLNK(found.st_mode):
                raise Invalid(f"others than root can change {name}; run: chown root {name} and chmod go-w {name}")


def _sentence(mistake: ErrorDetails) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in mistake["loc"]).lstrip(".")
    text = mistake["msg"].removeprefix("Value error, ")
    match mistake["type"]:
        case "missing":
            return f"{where} is missing"
        case "extra_forbidden":
            return f"{where}: there is no such option; take it out"
        case "value_error":
            return f"{where}: {text}" if where else text
    return f"{where} is {_shown(mistake['input'])}; {text[0].lower()}{text[1:]}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def compile_policy(config: Config) -> compiled.Policy:
    """Return the policy with every account and path of the node resolved; raise Invalid for what is not there."""
    classes = {name: _runtime_class(name, given) for name, given in config.classes.items()}
    node, ports = config.node, config.ports
    return {
        "node": {
            "hostname": node.hostname,
            "local_dirs": node.local_dirs,
            "log_dirs": node.log_dirs,
            "nm_uid": _user("node.yarn_user", node.yarn_user).pw_uid,
            "nm_gid": _group("node.yarn_group", node.yarn_group).gr_gid,
            "nonsecure_uid": _user("node.nonsecure_user", node.nonsecure_user).pw_uid if node.nonsecure_user else -1,
            "share_hosts": node.share_hosts,
        },
        "foreign": classes[config.foreign],
        "classes": classes,
        "tenants": [
            {
                "name": tenant.name,
                "users": tenant.users,
                "runtime_class": tenant.runtime_class,
                "max_containers": tenant.max_containers,
            }
            for tenant in config.tenants
        ],
        "slots": {"mode": config.slots.mode, "accounts": _slots(config)},
        "ports": {"mode": ports.mode, "first": ports.first, "last": ports.last, "block": ports.block},
    }


def _runtime_class(name: str, given: RuntimeClass) -> compiled.RuntimeClass:
    if os.path.lexists(given.path) and not files.root_owned(given.path):
        raise Invalid(
            f"classes.{name}.path is {given.path}, which others than root can change; chown and chmod it and "
            "every folder above it"
        )
    init = given.ports == "init" or (given.ports == "auto" and Path(given.path).name == "runsc")
    return {
        "name": name,
        "driver": given.driver,
        "argv": [given.path, *given.args],
        "ports": "init" if init else "sysctl",
        "networks": [*given.networks],
        "mounts_ro": given.mounts_ro,
        "mounts_rw": given.mounts_rw,
        "capabilities": given.capabilities,
        "devices": given.devices,
        "no_new_privileges": given.no_new_privileges,
        "kill_grace_ms": round(given.kill_grace * 1000),
        "pids": given.pids,
        "open_files": given.open_files,
    }


def _slots(config: Config) -> list[compiled.Slot]:
    slots: list[compiled.Slot] = []
    node = config.node
    uids = {_user("node", name).pw_uid: name for name in ("root", node.yarn_user, node.nonsecure_user) if name}
    gids = {_group("node", name).gr_gid: name for name in ("root", node.yarn_group)}
    for account in config.slots.accounts:
        found = _user("slots.accounts", account)
        for kind, number, taken in (("uid", found.pw_uid, uids), ("gid", found.pw_gid, gids)):
            if number in taken:
                raise Invalid(
                    f"slots.accounts: {account!r} has {kind} {number}, which is {taken[number]}'s; "
                    f"give each slot a {kind} of its own"
                )
            taken[number] = account
        if _group("slots.accounts", account).gr_gid != found.pw_gid:
            raise Invalid(f"slots.accounts: the primary group of {account!r} is not the group of the same name")
        slots.append({"account": account, "uid": found.pw_uid, "gid": found.pw_gid})
    return slots


def _user(where: str, name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise Invalid(f"{where}: there is no account {name!r} on this node; create it") from None


def _group(where: str, name: str) -> grp.struct_group:
    try:
        return grp.getgrnam(name)
    except KeyError:
        raise Invalid(f"{where}: there is no group {name!r} on this node; create it") from None


def compile_file() -> compiled.Compiled:
    """Compile the node's file, note the result for the verbs, and return it."""
    stamp = policy.stamp()  # first, so that a change while we read is noticed
    result: compiled.Compiled = {"stamp": stamp, "error": None, "policy": None}
    try:
        result["policy"] = compile_policy(read(paths.CONFIG))
    except Invalid as error:
        result["error"] = str(error)
    os.makedirs(paths.RUN, 0o711, exist_ok=True)
    if result["policy"]:
        foreign = result["policy"]["foreign"]["argv"]
        files.write_file(paths.foreign(), record.encoded(record.Record(record.FOREIGN, 0, 0, "", foreign)), 0o600)
    files.write_file(paths.policy(), plainjson.dumps(result), 0o600)
    return result


if __name__ == "__main__":
    compile_file()
