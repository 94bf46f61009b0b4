"""Whatever stands in a spec: it is what OCI says, or it is refused; and what is not refused crashes nothing later."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.container.specs import (
    CONTAINERS,
    SLOT,
    Spec,
    golden,
    node,
    origin,
    runtime_class,
    uid_of,
    without_yarn,
)
from yarn_kata_runtime.container import policy, rewriting
from yarn_kata_runtime.container.identity import identify
from yarn_kata_runtime.container.rewriting import Plan, PortBlock
from yarn_kata_runtime.container.spec import checked
from yarn_kata_runtime.errors import Refused

NAME = "ds-bridge"
Path = tuple[str | int, ...]


def paths(value: object, at: Path = ()) -> Iterator[Path]:
    """Yield the place of every value in a JSON value, itself included."""
    yield at
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, (*at, key))
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from paths(item, (*at, index))


def replaced(value: Any, at: Path, new: object) -> Any:
    """Return a copy of a JSON value with `new` at a place in it."""
    if not at:
        return new
    result = copy.copy(value)
    result[at[0]] = replaced(value[at[0]], at[1:], new)
    return result


class TestGood:
    @pytest.mark.parametrize("name", CONTAINERS)
    def test_golden_specs_are_returned_as_they_are(self, name: str) -> None:
        spec = golden(name)
        assert checked(spec) is spec
        assert spec == golden(name)
        checked(without_yarn("ds-bridge"))

    def test_the_least_that_a_spec_has(self) -> None:
        checked({"process": {"args": ["x"], "cwd": "/"}, "root": {"path": "rootfs"}})

    @pytest.mark.parametrize("number", [0, 1, 2**31, 2**32 - 2])
    def test_ids(self, number: int) -> None:
        spec = golden(NAME)
        spec["process"]["user"] = {"uid": number, "gid": number, "additionalGids": [number]}
        checked(spec)

    def test_fields_of_others_may_be_anything(self) -> None:
        spec = golden(NAME)
        spec |= {"x-vendor": [1], "hooks": 7, "windows": None, "Hostname": {}}
        spec["process"] |= {"oomScoreAdj": "x", "terminal": [], "ZZ": 1, "zz": 2}
        checked(spec)

    def test_the_case_of_free_names_is_free(self) -> None:
        spec = golden(NAME)
        spec["annotations"] = {"Type": "x", "type": "y", "UID": "z"}
        spec["linux"]["sysctl"] |= {"net.Path": "x", "net.path": "y"}
        checked(spec)


ID = "a number from 0 to 4294967294"
WRONG: list[tuple[str, object, str]] = [  # where, what, what is wanted
    ("process", None, "an object"),
    ("process.args", None, "a list"),
    ("process.args", "bash", "a list"),
    ("process.args", [["bash"]], "a string"),
    ("process.args", [None], "a string"),
    ("process.env", {}, "a list"),
    ("process.env", [1], "a string"),
    ("process.cwd", None, "a string"),
    ("process.user", [], "an object"),
    ("process.user.uid", -1, ID),
    ("process.user.uid", 2**32 - 1, ID),
    ("process.user.uid", 1.0, ID),
    ("process.user.uid", True, ID),
    ("process.user.uid", "0", ID),
    ("process.user.gid", None, ID),
    ("process.user.additionalGids", 5, "a list"),
    ("process.user.additionalGids", [5, "x"], ID),
    ("process.capabilities", ["CAP_KILL"], "an object"),
    ("process.capabilities.bounding", "CAP_KILL", "a list"),
    ("process.capabilities.bounding", [1], "a string"),
    ("process.rlimits", {}, "a list"),
    ("root", "rootfs", "an object"),
    ("root.path", None, "a string"),
    ("mounts", {}, "a list"),
    ("mounts.0", "proc", "an object"),
    ("mounts.0.destination", None, "a string"),
    ("mounts.0.source", 1, "a string"),
    ("mounts.0.type", [], "a string"),
    ("mounts.0.options", "ro", "a list"),
    ("mounts.0.options", [1], "a string"),
    ("annotations", [], "an object"),
    ("annotations", {"a": 1}, "a string"),
    ("linux", [], "an object"),
    ("linux.cgroupsPath", None, "a string"),
    ("linux.namespaces", {}, "a list"),
    ("linux.namespaces.0", "pid", "an object"),
    ("linux.namespaces.0.type", None, "a string"),
    ("linux.namespaces.0.path", 3, "a string"),
    ("linux.devices", {}, "a list"),
    ("linux.devices", [1], "an object"),
    ("linux.resources", 1, "an object"),
    ("linux.resources.devices", {}, "a list"),
    ("linux.resources.devices.0", [], "an object"),
    ("linux.resources.devices.0.allow", None, "true or false"),
    ("linux.resources.devices.0.allow", 1, "true or false"),
    ("linux.resources.devices.0.type", 1, "a string"),
    ("linux.resources.devices.0.access", ["rwm"], "a string"),
    ("linux.resources.devices.0.major", [], "a number"),
    ("linux.resources.devices.0.minor", True, "a number"),
    ("linux.resources.pids", [], "an object"),
    ("linux.sysctl", [], "an object"),
    ("linux.sysctl", {"a": 1}, "a string"),
]


def put(spec: Spec, where: str, what: object) -> None:
    *folders, last = [int(part) if part.isdigit() else part for part in where.split(".")]
    at: Any = spec
    for folder in folders:
        at = at[folder]
    at[last] = what


class TestWrong:
    @pytest.mark.parametrize(("where", "what", "wanted"), WRONG)
    def test_the_field_and_what_is_wanted_are_named(self, where: str, what: object, wanted: str) -> None:
        spec = golden(NAME)
        put(spec, where, what)
        shown = "missing" if what is None else ""
        with pytest.raises(Refused) as refusal:
            checked(spec)
        message = str(refusal.value)
        assert message.startswith(where.replace(".0", "[0]")) and message.endswith(
            f"OCI wants {wanted} there"
        )
        assert shown in message

    @pytest.mark.parametrize("what", [None, [], "x", 1, True, 1.5])
    def test_a_spec_that_is_no_object(self, what: Any) -> None:
        with pytest.raises(Refused, match="config.json of the spec is"):
            checked(what)

    def test_no_command(self) -> None:
        spec = golden(NAME)
        spec["process"]["args"] = []
        with pytest.raises(Refused, match="process.args of the spec is empty"):
            checked(spec)

    @pytest.mark.parametrize(
        "where",
        ["process.args", "process.env", "process.cwd", "root.path", "mounts.0.source", "mounts.0.destination"]
        + ["linux.cgroupsPath", "linux.namespaces.0.path"],
    )
    def test_a_nul_character(self, where: str) -> None:
        spec = golden(NAME)
        put(spec, where, ["a\0b"] if where.endswith(("args", "env")) else "a\0b")
        with pytest.raises(Refused, match="holds a NUL character"):
            checked(spec)

    def test_a_long_value_is_cut(self) -> None:
        spec = golden(NAME)
        spec["process"]["cwd"] = ["x" * 10_000]
        with pytest.raises(Refused) as refusal:
            checked(spec)
        assert len(str(refusal.value)) < 200


READ = [  # of the golden spec, every field that is read
    ("process", ""),
    ("root", ""),
    ("mounts", ""),
    ("linux", ""),
    ("args", "process"),
    ("env", "process"),
    ("cwd", "process"),
    ("user", "process"),
    ("capabilities", "process"),
    ("uid", "process.user"),
    ("gid", "process.user"),
    ("additionalGids", "process.user"),
    ("path", "root"),
    ("destination", "mounts.7"),
    ("source", "mounts.7"),
    ("type", "mounts.7"),
    ("options", "mounts.7"),
    ("cgroupsPath", "linux"),
    ("namespaces", "linux"),
    ("resources", "linux"),
    ("sysctl", "linux"),
    ("devices", "linux.resources"),
    ("type", "linux.namespaces.0"),
    ("allow", "linux.resources.devices.0"),
    ("access", "linux.resources.devices.0"),
    ("major", "linux.resources.devices.1"),
    ("minor", "linux.resources.devices.1"),
]
CASES: list[Callable[[str], str]] = [
    str.upper,
    str.capitalize,
    str.swapcase,
    lambda name: name.lower() if name.lower() != name else name.title(),
    lambda name: name.replace("s", "ſ").replace("k", "\u212a"),  # what Go folds to s and k, too
]


class TestCase:
    """Go's decoder takes `Mounts` for `mounts`; the runtime below would see what was not checked."""

    @pytest.mark.parametrize(("name", "where"), READ)
    @pytest.mark.parametrize("besides", [True, False])
    def test_a_field_in_another_case(self, name: str, where: str, besides: bool) -> None:
        for other in {case(name) for case in CASES} - {name}:
            spec = golden(NAME)
            at: Any = spec
            for part in [int(p) if p.isdigit() else p for p in where.split(".") if p]:
                at = at[part]
            at[other] = at[name] if besides else at.pop(name)
            with pytest.raises(Refused, match=f"a field '{other}'; OCI writes it '{name}'"):
                checked(spec)

    @pytest.mark.parametrize(
        ("name", "where"), [("Annotations", ""), ("NoNewPrivileges", "process"), ("Rlimits", "process")]
    )
    def test_a_field_that_golden_specs_have_not(self, name: str, where: str) -> None:
        spec = golden(NAME)
        (spec[where] if where else spec)[name] = {}
        with pytest.raises(Refused, match=f"a field '{name}'"):
            checked(spec)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["/", "bind", "a\0"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "path", "uid", "Type", "source", "options", "allow", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@st.composite
def broken_specs(draw: st.DrawFn) -> tuple[str, Any]:
    """Draw a golden spec's name and the spec with any JSON value in some places of it."""
    name = draw(st.sampled_from(["ds-bridge", "ds-host", "runc-mode"]))
    spec: Any = golden(name)
    spec["linux"].pop("seccomp", None)
    every = list(paths(spec))
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.sampled_from(every))
        spec = replaced(spec, place, draw(json_values))
        every = list(paths(spec))
    return name, spec


@settings(max_examples=1000)
@given(broken_specs())
def test_any_json_in_any_place(drawn: tuple[str, Any]) -> None:
    """It is refused, or every step that follows can do with it: nothing raises anything but Refused."""
    name, spec = drawn
    try:
        assert checked(spec) is spec
        identity = identify(spec, origin(name), node(), uid_of)
        if identity is None:
            return
        policy.check(
            spec, identity, runtime_class(networks=["bridge", "host"]), node(), [], lambda path: False
        )
    except Refused as refusal:
        assert str(refusal)
        return
    limits = runtime_class(pids=1, open_files=1)
    rewriting.rewrite(
        spec, Plan(limits, SLOT, PortBlock(1024, 256), {"/a": "/b"}, {"/x": "/y"}, "/init", "host")
    )
    assert spec["process"]["user"] == {"uid": 0, "gid": 0}


@settings(max_examples=300)
@given(json_values)
def test_any_json_for_the_whole(value: Any) -> None:
    with pytest.raises(Refused):
        checked(value)
