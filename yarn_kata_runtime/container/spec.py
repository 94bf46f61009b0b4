"""The shape of an OCI runtime spec, checked once so that every later step may index it plainly.

Source: https://github.com/opencontainers/runtime-spec/blob/main/config.md
"""

from __future__ import annotations

from yarn_kata_runtime.errors import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Spec = dict[str, Any]

_UID_MAX = 2**32 - 2

_READ = (  # the fields that this package reads or writes, in all objects of the spec
    "access additionalGids allow annotations args capabilities cgroupsPath cwd destination devices env gid linux "
    "major minor mounts namespaces noNewPrivileges options path pids process resources rlimits root source sysctl "
    "type uid user"
)
_FIELDS = {name.casefold(): name for name in _READ.split()}


def checked(spec: Spec) -> Spec:
    """Return `spec` if what this package reads of it has the types that OCI says.

    Raises Refused naming the first field that has not.  So is a field whose name differs in case from
    OCI's: Go's decoder takes it for that, so a runtime would not see what we see.
    """
    _object(spec, "config.json")
    process = _object(spec.get("process"), "process")
    _strings(process.get("args"), "process.args")
    if not process["args"]:
        raise Refused("process.args of the spec is empty; a container needs a command")
    _strings(process.get("env", []), "process.env")
    _string(process.get("cwd"), "process.cwd")
    _user(process.get("user", {}))
    for name, capabilities in _object(process.get("capabilities", {}), "process.capabilities").items():
        _strings(capabilities, f"process.capabilities.{name}")
    _objects(process.get("rlimits", []), "process.rlimits")
    _string(_object(spec.get("root"), "root").get("path"), "root.path")
    for index, mount in enumerate(_objects(spec.get("mounts", []), "mounts")):
        _mount(mount, f"mounts[{index}]")
    annotations = _map(spec.get("annotations", {}), "annotations")
    _strings(list(annotations.values()), "annotations")
    _linux(_object(spec.get("linux", {}), "linux"))
    return spec


def _user(user: object) -> None:
    fields = _object(user, "process.user")
    _id(fields.get("uid", 0), "process.user.uid")
    _id(fields.get("gid", 0), "process.user.gid")
    groups = fields.get("additionalGids", [])
    if type(groups) is not list:
        raise _wrong("process.user.additionalGids", "a list", groups)
    for group in groups:
        _id(group, "process.user.additionalGids")


def _mount(mount: Spec, where: str) -> None:
    _string(mount.get("destination"), f"{where}.destination")
    _string(mount.get("source", ""), f"{where}.source")
    _string(mount.get("type", ""), f"{where}.type")
    _strings(mount.get("options", []), f"{where}.options")


def _linux(linux: Spec) -> None:
    _string(linux.get("cgroupsPath", ""), "linux.cgroupsPath")
    for index, namespace in enumerate(_objects(linux.get("namespaces", []), "linux.namespaces")):
        _string(namespace.get("type"), f"linux.namespaces[{index}].type")
        _string(namespace.get("path", ""), f"linux.namespaces[{index}].path")
    _objects(linux.get("devices", []), "linux.devices")
    resources = _object(linux.get("resources", {}), "linux.resources")
    for index, rule in enumerate(_objects(resources.get("devices", []), "linux.resources.devices")):
        _device_rule(rule, f"linux.resources.devices[{index}]")
    _object(resources.get("pids", {}), "linux.resources.pids")
    sysctl = _map(linux.get("sysctl", {}), "linux.sysctl")
    _strings(list(sysctl.values()), "linux.sysctl")


def _device_rule(rule: Spec, where: str) -> None:
    if type(rule.get("allow")) is not bool:
        raise _wrong(f"{where}.allow", "true or false", rule.get("allow"))
    for name in ("type", "access"):
        _string(rule.get(name, ""), f"{where}.{name}")
    for name in ("major", "minor"):
        if type(rule.get(name, 0)) is not int:
            raise _wrong(f"{where}.{name}", "a number", rule[name])


def _map(value: Any, where: str) -> Spec:
    if type(value) is not dict:
        raise _wrong(where, "an object", value)
    return value


def _object(value: Any, where: str) -> Spec:
    for key in _map(value, where):
        name = _FIELDS.get(key.casefold(), key)
        if key != name:
            raise Refused(f"{where} of the spec has a field {key!r}; OCI writes it {name!r}")
    return value  # type: ignore[no-any-return]


def _objects(value: Any, where: str) -> list[Spec]:
    if type(value) is not list:
        raise _wrong(where, "a list", value)
    for index, item in enumerate(value):
        _object(item, f"{where}[{index}]")
    return value


def _strings(value: Any, where: str) -> None:
    if type(value) is not list:
        raise _wrong(where, "a list", value)
    for item in value:
        _string(item, where)


def _string(value: Any, where: str) -> None:
    if type(value) is not str:
        raise _wrong(where, "a string", value)
    if "\0" in value:
        raise Refused(f"{where} of the spec holds a NUL character; no path or argument may")


def _id(value: Any, where: str) -> None:
    if type(value) is not int or not 0 <= value <= _UID_MAX:
        raise _wrong(where, f"a number from 0 to {_UID_MAX}", value)


def _wrong(where: str, expected: str, value: object) -> Refused:
    return Refused(f"{where} of the spec is {_shown(value)}; OCI wants {expected} there")


def _shown(value: object) -> str:
    if value is None:
        return "missing"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
