"""What a class allows and refuses, and which tenant a user belongs to."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.container.specs import (
    CONTAINERS,
    DOCKER,
    LOCAL,
    LOG,
    RUNC,
    Spec,
    docker_folder,
    golden,
    mount,
    node,
    origin,
    runtime_class,
    uid_of,
)
from yarn_kata_runtime.config.model import DEFAULT_CAPABILITIES
from yarn_kata_runtime.container import policy
from yarn_kata_runtime.container.identity import Identity, identify
from yarn_kata_runtime.container.spec import checked
from yarn_kata_runtime.errors import Refused

if TYPE_CHECKING:
    from yarn_kata_runtime.compiled import Policy, RuntimeClass

NAME = "ds-bridge"
WHO = CONTAINERS[NAME]
HOST_NETWORK = "/var/run/docker/netns/default"


def is_host_network(path: str) -> bool:
    assert path, "the node cannot look at no path"
    return path == HOST_NETWORK


def identity(name: str) -> Identity:
    found = identify(golden(name), origin(name), node(), uid_of)
    assert found is not None
    return found


def check(spec: Spec, name: str = NAME, **changed: Any) -> str:
    """Check a golden spec, changed, against the class of the tests."""
    own = [docker_folder(name)] if name in DOCKER else []
    return policy.check(checked(spec), identity(name), runtime_class(**changed), node(), own, is_host_network)


class TestCheck:
    @pytest.mark.parametrize("name", set(DOCKER) - {"ds-host"})
    def test_golden_specs_pass(self, name: str) -> None:
        spec = golden(name)
        assert check(spec, name) == "bridge"
        assert spec == golden(name), "check changes nothing"

    @pytest.mark.parametrize("name", ["ds-host", *RUNC])
    def test_the_hosts_network_where_the_class_has_it(self, name: str) -> None:
        """Docker hands the node's namespace by path, runC mode asks for none at all."""
        with pytest.raises(
            Refused, match="asks for the host network.*YARN_CONTAINER_RUNTIME_DOCKER_CONTAINER_NETWORK"
        ):
            check(golden(name), name)
        assert check(golden(name), name, networks=["bridge", "host"]) == "host"

    @pytest.mark.parametrize(
        "change",
        [
            lambda spec: spec.__setitem__(
                "annotations", {"io.katacontainers.config.hypervisor.path": "/tmp/x"}
            ),
            lambda spec: spec["linux"]["namespaces"].pop(0),
            lambda spec: spec["process"]["capabilities"].__setitem__("ambient", ["CAP_SYS_ADMIN"]),
            lambda spec: spec["linux"].__setitem__("devices", [{"path": "/dev/kvm", "type": "c"}]),
            lambda spec: spec["mounts"].append(mount("/etc/shadow", "ro")),
            lambda spec: spec["linux"]["namespaces"][1].__setitem__("path", "/run/netns/other"),
        ],
    )
    def test_every_subject_is_looked_at(self, change: Callable[[Spec], None]) -> None:
        spec = golden(NAME)
        change(spec)
        with pytest.raises(Refused, match=WHO):
            check(spec)


class TestAnnotations:
    @pytest.mark.parametrize(
        "key",
        [
            "io.katacontainers.config.hypervisor.kernel_params",
            "io.katacontainers.pkg.oci.container_type",
            "dev.gvisor.flag.network",
            "dev.gvisor.spec.mount.x.source",
            "run.oci.handler",
            "io.containerd.runsc.v1",
            "com.github.containers.virtcontainers.X",
        ],
    )
    def test_steering_ones_are_refused(self, key: str) -> None:
        with pytest.raises(Refused, match=f"annotation '{key}'"):
            policy.check_annotations({"annotations": {key: "x"}}, WHO)

    @pytest.mark.parametrize(
        "annotations", [{}, {"org.opencontainers.image.title": "x"}, {"x.dev.gvisor.y": "z"}]
    )
    def test_others_pass(self, annotations: dict[str, str]) -> None:
        policy.check_annotations({"annotations": annotations}, WHO)

    def test_none_at_all(self) -> None:
        policy.check_annotations({}, WHO)


def namespaces(*kinds: str, **paths: str) -> Spec:
    listed = [{"type": kind} for kind in kinds] + [
        {"type": kind, "path": path} for kind, path in paths.items()
    ]
    return {"linux": {"namespaces": listed}}


PRIVATE = ("mount", "pid", "ipc", "uts")


class TestNamespaces:
    @pytest.mark.parametrize("more", [(), ("network",), ("cgroup",), ("network", "cgroup", "time")])
    def test_own_ones_pass(self, more: tuple[str, ...]) -> None:
        policy.check_namespaces(namespaces(*PRIVATE, *more), WHO)
        policy.check_namespaces(
            namespaces(*PRIVATE, *more, **({} if "network" in more else {"network": "/x"})), WHO
        )

    @pytest.mark.parametrize("kind", PRIVATE)
    def test_a_missing_one_is_the_nodes(self, kind: str) -> None:
        with pytest.raises(Refused, match=f"shared {kind} namespace"):
            policy.check_namespaces(namespaces(*(k for k in PRIVATE if k != kind), "network"), WHO)

    @pytest.mark.parametrize("kind", [*PRIVATE, "cgroup", "time"])
    def test_one_with_a_path_is_somebody_elses(self, kind: str) -> None:
        with pytest.raises(Refused, match=f"shared {kind} namespace"):
            policy.check_namespaces(
                namespaces(*(k for k in PRIVATE if k != kind), **{kind: "/proc/1/ns/x"}), WHO
            )

    def test_no_list_at_all(self) -> None:
        with pytest.raises(Refused, match="shared ipc namespace"):
            policy.check_namespaces({}, WHO)

    @pytest.mark.parametrize("kind", [*PRIVATE, "network", "cgroup"])
    @pytest.mark.parametrize("path", ["", "/proc/1/ns/x"])
    def test_one_named_twice(self, kind: str, path: str) -> None:
        """runc refuses such a spec, runsc takes the first of the two."""
        spec = namespaces(*PRIVATE, "network", "cgroup")
        spec["linux"]["namespaces"].insert(0, {"type": kind, "path": path})
        with pytest.raises(Refused, match="names a namespace twice"):
            policy.check_namespaces(spec, WHO)

    def test_user_namespaces_are_in_the_way_of_slots(self) -> None:
        with pytest.raises(Refused, match="userns-remap"):
            policy.check_namespaces(namespaces(*PRIVATE, "user"), WHO)


class TestNetwork:
    @pytest.mark.parametrize(
        ("spec", "kind"),
        [
            (namespaces("network"), "bridge"),
            (namespaces(network=""), "bridge"),
            (namespaces(network=HOST_NETWORK), "host"),
            (namespaces("mount"), "host"),
            ({}, "host"),
        ],
    )
    def test_its_kind_is_known(self, spec: Spec, kind: str) -> None:
        both = runtime_class(networks=["bridge", "host"])
        assert policy.check_network(spec, both, is_host_network, WHO) == kind
        for allowed in ("bridge", "host"):
            only = runtime_class(networks=[allowed])
            if allowed == kind:
                assert policy.check_network(spec, only, is_host_network, WHO) == kind
            else:
                with pytest.raises(
                    Refused, match=f"the {kind} network, but class 'gvisor' allows {allowed} only"
                ):
                    policy.check_network(spec, only, is_host_network, WHO)

    def test_another_containers_network(self) -> None:
        both = runtime_class(networks=["bridge", "host"])
        with pytest.raises(Refused, match="would join the network namespace /run/docker/netns/5a1b"):
            policy.check_network(namespaces(network="/run/docker/netns/5a1b"), both, is_host_network, WHO)


SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")


class TestCapabilities:
    @pytest.mark.parametrize("kind", SETS)
    @pytest.mark.parametrize("name", ["CAP_SYS_ADMIN", "cap_chown", "ALL", "CAP_NET_ADMIN"])
    def test_one_too_many_in_any_set(self, kind: str, name: str) -> None:
        spec = {"process": {"capabilities": {kind: ["CAP_CHOWN", name]}}}
        with pytest.raises(Refused, match=rf"asks for {name} \({kind}\)"):
            policy.check_capabilities(spec, runtime_class(), WHO)

    @pytest.mark.parametrize("kind", SETS)
    def test_allowed_ones_pass(self, kind: str) -> None:
        spec = {"process": {"capabilities": {kind: DEFAULT_CAPABILITIES}}}
        policy.check_capabilities(spec, runtime_class(), WHO)
        with pytest.raises(Refused, match="CAP_SYS_CHROOT"):
            policy.check_capabilities(spec, runtime_class(capabilities=DEFAULT_CAPABILITIES[:-1]), WHO)

    def test_none_at_all(self) -> None:
        policy.check_capabilities({"process": {}}, runtime_class(capabilities=[]), WHO)


def rule(**fields: object) -> Spec:
    return {"linux": {"resources": {"devices": [{"allow": True, "access": "rwm"} | fields]}}}


class TestDevices:
    @pytest.mark.parametrize(
        ("major", "minor"), [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (10, 200)]
    )
    def test_null_and_its_like(self, major: int, minor: int) -> None:
        """Of the neighbours none: 1:1 is the memory, 1:4 the I/O ports, 10:229 fuse, 10:232 kvm."""
        policy.check_devices(rule(type="c", major=major, minor=minor), runtime_class(), WHO)

    @pytest.mark.parametrize(
        ("major", "minor"),
        [
            (1, 1),
            (1, 2),
            (1, 4),
            (1, 6),
            (1, 10),
            (1, 11),
            (4, 0),
            (5, 3),
            (6, 0),
            (10, 199),
            (10, 201),
            (10, 229),
        ]
        + [(10, 232), (11, 200), (135, 0), (137, 0), (2, 3), (0, 0)],
    )
    def test_their_neighbours(self, major: int, minor: int) -> None:
        with pytest.raises(
            Refused, match=f"access to the device c {major}:{minor}; class 'gvisor' allows none"
        ):
            policy.check_devices(rule(type="c", major=major, minor=minor), runtime_class(), WHO)

    @pytest.mark.parametrize(
        "spec",
        [
            {},
            {"linux": {"devices": []}},
            rule(allow=False),
            rule(allow=False, type="b", major=8, minor=0),
            rule(type="c", major=1, minor=3),
            rule(type="c", major=136),
            rule(type="c", major=136, minor=7),
            rule(type="c", access="m"),
            rule(type="b", access="m"),
        ],
    )
    def test_what_every_container_has(self, spec: Spec) -> None:
        policy.check_devices(spec, runtime_class(), WHO)

    @pytest.mark.parametrize(
        "spec",
        [
            {"linux": {"devices": [{"path": "/dev/kvm", "type": "c", "major": 10, "minor": 232}]}},
            {"linux": {"devices": [{"path": "/dev/null", "type": "c", "major": 1, "minor": 3}]}},
            rule(),
            rule(type="a"),
            rule(type="b", major=8, minor=0),
            rule(type="b", major=1, minor=3),
            rule(type="c"),
            rule(type="c", major=1),
            rule(type="c", minor=3),
            rule(type="c", major=1, minor=1),
            rule(type="c", major=10, minor=229),
            rule(type="c", major=8, minor=0, access="r"),
            rule(type="c", major=8, minor=0, access="rm"),
            rule(type="c", major=8, minor=0, access=""),
            rule(type="c", major=-1, minor=-1),
        ],
    )
    def test_what_a_class_must_allow(self, spec: Spec) -> None:
        with pytest.raises(Refused, match="allows none"):
            policy.check_devices(spec, runtime_class(), WHO)
        policy.check_devices(spec, runtime_class(devices=True), WHO)


class TestMounts:
    def refuse(self, *mounts: Spec, message: str = "does not allow", **changed: Any) -> None:
        with pytest.raises(Refused, match=message):
            policy.check_mounts({"mounts": [*mounts]}, runtime_class(**changed), node(), ["/own"], WHO)

    def allow(self, *mounts: Spec, **changed: Any) -> None:
        policy.check_mounts({"mounts": [*mounts]}, runtime_class(**changed), node(), ["/own"], WHO)

    def test_yarns_and_the_engines_folders(self) -> None:
        for folder in (LOCAL, f"{LOCAL}/usercache/x", LOG, f"{LOG}/y", "/own", "/own/hostname"):
            self.allow(mount(folder, "ro"), mount(folder, "rw"), mount(folder))

    def test_read_only_ones(self) -> None:
        self.allow(mount("/opt", "ro"), mount("/opt/spark", "ro"), mount("/etc/passwd", "ro"))
        for writable in ((), ("rw",), ("ro", "rw"), ("nosuid",), ("RO",)):
            self.refuse(mount("/opt/spark", *writable), message=r"mounts /opt/spark \(writable\)")
        self.refuse(mount("/usr", "ro"), message=r"mounts /usr \(read-only\)")

    def test_writable_ones(self) -> None:
        for options in ((), ("rw",), ("ro",), ("rw", "ro"), ("ro", "rw")):
            self.allow(mount("/srv/yarn", *options), mount("/srv/yarn/dfs", *options))
            self.refuse(mount("/srv", *options))

    @pytest.mark.parametrize(
        "source", ["/optical", "/op", "/", "/opt2/spark", "/ownx", f"{LOG}s", f"{LOCAL}-x"]
    )
    def test_folders_that_only_begin_alike(self, source: str) -> None:
        self.refuse(mount(source, "ro"))

    @pytest.mark.parametrize(
        "source",
        [
            "",
            ".",
            "opt",
            "/opt/",
            "/opt/../etc",
            "/opt/spark/../../etc/shadow",
            "//opt",
            "/opt//spark",
            "/opt/./x",
            "..",
            "/..",
        ],
    )
    def test_sources_that_are_no_plain_paths(self, source: str) -> None:
        self.refuse(mount(source, "ro"), message="not a plain absolute path")

    def test_the_public_filecache_is_nobodys_to_write(self) -> None:
        self.refuse(mount(f"{LOCAL}/filecache", "rw"), message="all tenants of this node share")
        self.refuse(mount(f"{LOCAL}/filecache/10/lib", "ro", "rw"), message="all tenants of this node share")
        self.allow(mount(f"{LOCAL}/filecache", "ro"))

    def test_a_bind_mount_without_a_source(self) -> None:
        self.refuse({"destination": "/x", "type": "bind"}, message="not a plain absolute path")

    @pytest.mark.parametrize("option", ["bind", "rbind"])
    @pytest.mark.parametrize("kind", ["", "tmpfs", "proc", "none", "ext4"])
    def test_a_bind_mount_by_its_options(self, option: str, kind: str) -> None:
        self.refuse({"destination": "/x", "type": kind, "source": "/etc", "options": [option]})
        self.allow({"destination": "/x", "type": kind, "source": "/opt", "options": [option, "ro"]})

    @pytest.mark.parametrize("kind", ["proc", "tmpfs", "devpts", "sysfs", "cgroup", "cgroup2", "mqueue"])
    def test_file_systems_that_show_no_disk(self, kind: str) -> None:
        self.allow({"destination": "/x", "type": kind, "source": kind})

    @pytest.mark.parametrize(
        "kind", ["ext4", "overlay", "nfs", "fuse", "securityfs", "debugfs", "bpf", "none", "", "Bind"]
    )
    def test_other_file_systems(self, kind: str) -> None:
        self.refuse({"destination": "/x", "type": kind, "source": "/dev/sda1"}, message="file system")
        self.refuse({"destination": "/x", "source": "/dev/sda1"}, message="mounts a None file system")

    def test_none_at_all(self) -> None:
        policy.check_mounts({}, runtime_class(), node(), [], WHO)


# What a spec could ask for, allowed or not; check must let the allowed ones pass only.
some_option = st.sampled_from(["ro", "rw", "bind", "rbind", "rprivate", "nosuid"])
some_source = st.one_of(
    st.sampled_from(
        ["/", "/etc", "/etc/passwd", "/opt", "/opt/spark", "/srv/yarn", "/srv", LOCAL, LOG, "tmpfs", ""]
    ),
    st.lists(st.sampled_from(["/", "..", ".", "opt", "etc", "srv", "yarn"]), max_size=6).map("".join),
)
some_mount = st.fixed_dictionaries(
    {"destination": st.sampled_from(["/x", "/etc/passwd", "/"])},
    optional={
        "type": st.sampled_from(["bind", "tmpfs", "proc", "ext4", "overlay", "", "none"]),
        "source": some_source,
        "options": st.lists(some_option, max_size=3),
    },
)
some_capability = st.sampled_from(["CAP_CHOWN", "CAP_KILL", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "cap_kill"])
some_device = st.fixed_dictionaries(
    {"allow": st.booleans()},
    optional={
        "type": st.sampled_from(["a", "b", "c", "u"]),
        "major": st.sampled_from([1, 8, 10, 136, -1]),
        "minor": st.sampled_from([0, 3, 5, 229]),
        "access": st.sampled_from(["m", "r", "rwm", ""]),
    },
)
some_namespace = st.fixed_dictionaries(
    {"type": st.sampled_from([*PRIVATE, "network", "user", "cgroup"])},
    optional={"path": st.sampled_from(["", HOST_NETWORK, "/proc/1/ns/pid"])},
)
some_annotation = st.dictionaries(
    st.sampled_from(["a.b", "io.katacontainers.x", "dev.gvisor.y"]), st.just("1")
)


@st.composite
def changed_specs(draw: st.DrawFn) -> Spec:
    """Draw a golden spec with up to three things in it changed."""
    spec = golden(NAME)
    for subject in draw(
        st.sets(st.sampled_from(["mounts", "caps", "device", "rules", "spaces", "notes"]), max_size=3)
    ):
        if subject == "mounts":
            spec["mounts"] += draw(st.lists(some_mount, max_size=3))
        elif subject == "caps":
            sets = st.dictionaries(st.sampled_from(SETS), st.lists(some_capability, max_size=2))
            spec["process"]["capabilities"] = draw(sets)
        elif subject == "device":
            spec["linux"]["devices"] = draw(st.lists(st.just({"path": "/dev/sda"}), max_size=1))
        elif subject == "rules":
            spec["linux"]["resources"]["devices"] += draw(st.lists(some_device, max_size=3))
        elif subject == "spaces":
            gone = draw(st.sets(st.sampled_from(PRIVATE), max_size=1))
            kept = [n for n in spec["linux"]["namespaces"] if n["type"] not in gone]
            spec["linux"]["namespaces"] = kept + draw(st.lists(some_namespace, max_size=2))
        else:
            spec["annotations"] = draw(some_annotation)
    return spec


def test_changed_specs_both_pass_and_fail() -> None:
    """Keep the property below honest: its specs are of both kinds."""
    outcomes = set()

    @settings(max_examples=200)
    @given(changed_specs())
    def run(spec: Spec) -> None:
        try:
            outcomes.add(check(spec, networks=["bridge", "host"]))
        except Refused:
            outcomes.add("refused")

    run()
    assert {"bridge", "refused"} <= outcomes


@settings(max_examples=500)
@given(changed_specs())
def test_what_passes_asks_for_nothing_forbidden(spec: Spec) -> None:
    allowed = runtime_class()
    try:
        kind = check(spec)
    except Refused:
        return
    assert kind == "bridge"
    assert_mounts(spec, allowed)
    for capabilities in spec["process"]["capabilities"].values():
        assert set(capabilities) <= set(allowed["capabilities"])
    assert not spec["linux"].get("devices")
    for given_rule in spec["linux"]["resources"]["devices"]:
        if given_rule["allow"] and given_rule.get("access") != "m":
            assert given_rule["type"] == "c" and given_rule["major"] in (1, 5, 136)
    kinds = [n["type"] for n in spec["linux"]["namespaces"]]
    assert sorted({*kinds} - {"cgroup"}) == sorted([*PRIVATE, "network"]) and len(kinds) == len({*kinds})
    assert not any(n.get("path") for n in spec["linux"]["namespaces"])
    assert not any("katacontainers" in key or "gvisor" in key for key in spec.get("annotations", {}))


def assert_mounts(spec: Spec, allowed: RuntimeClass) -> None:
    own = [LOCAL, LOG, docker_folder(NAME)]
    for m in spec["mounts"]:
        options = m.get("options", [])
        if m.get("type") == "bind" or {"bind", "rbind"} & {*options}:
            source = m["source"]
            assert source.startswith("/") and not {"", ".", ".."} & {*source.split("/")[1:]}
            last = [o for o in options if o in ("ro", "rw")][-1:]
            folders = own + allowed["mounts_rw"] + (allowed["mounts_ro"] if last == ["ro"] else [])
            assert any(source == folder or source.startswith(folder + "/") for folder in folders)
        else:
            assert m["type"] in {"proc", "tmpfs", "devpts", "sysfs", "cgroup", "mqueue"}


class TestMatches:
    @settings(max_examples=1000)
    @given(st.text("ab*?", max_size=8), st.text("ab\n", max_size=8))
    @example("*", "")
    @example("", "")
    @example("a*b?c", "axxbyc")
    @example("*a*a*a*b", "a" * 30)
    def test_as_fnmatch(self, pattern: str, name: str) -> None:
        assert policy.matches(pattern, name) == fnmatchcase(name, pattern)

    def test_brackets_are_letters(self) -> None:
        assert policy.matches("[ab]", "[ab]")
        assert not policy.matches("[ab]", "a")

    def test_a_hostile_pair_takes_no_time(self) -> None:
        """A regular expression would try 2**50 ways."""
        assert not policy.matches("*a" * 50 + "b", "a" * 5000)


def rules(*tenants: tuple[str, list[str], str, int]) -> Policy:
    return {
        "node": node(),
        "foreign": runtime_class(name="runc"),
        "classes": {name: runtime_class(name=name) for name in ("runc", "gvisor", "kata")},
        "tenants": [
            {"name": name, "users": users, "runtime_class": chosen, "max_containers": limit}
            for name, users, chosen, limit in tenants
        ],
        "slots": {"mode": "off", "accounts": []},
        "ports": {"mode": "off", "first": 16384, "last": 32767, "block": 256},
    }


class TestDecide:
    RULES = rules(
        ("analytics", ["alice", "team-*"], "kata", 7),
        ("", ["b?b", "team-x"], "gvisor", 0),
        ("rest", ["c*"], "runc", 1),
    )

    @pytest.mark.parametrize(
        ("user", "tenant", "name", "limit"),
        [
            ("alice", "analytics", "kata", 7),
            ("team-x", "analytics", "kata", 7),
            ("team-", "analytics", "kata", 7),
            ("bob", "bob", "gvisor", 0),
            ("bab", "bab", "gvisor", 0),
            ("carol", "rest", "runc", 1),
        ],
    )
    def test_the_first_tenant_that_fits(self, user: str, tenant: str, name: str, limit: int) -> None:
        decision = policy.decide(self.RULES, user)
        assert (decision.tenant, decision.runtime_class["name"], decision.max_containers) == (
            tenant,
            name,
            limit,
        )

    def test_a_user_called_as_a_tenant(self) -> None:
        """It must not share that tenant's slot, whoever gave the user this name."""
        several = rules(("red", ["alice"], "kata", 0), ("", ["*"], "gvisor", 0))
        assert policy.decide(several, "bob").tenant == "bob"
        with pytest.raises(Refused, match="YARN user 'red' is called as a tenant that it does not belong to"):
            policy.decide(several, "red")
        member = rules(("red", ["alice", "red"], "kata", 0), ("", ["*"], "gvisor", 0))
        assert policy.decide(member, "red").tenant == policy.decide(member, "alice").tenant == "red"

    @pytest.mark.parametrize("user", ["", "Alice", "alice2", "bb", "root", "xteam-x"])
    def test_who_fits_none_runs_nothing(self, user: str) -> None:
        with pytest.raises(Refused, match=f"YARN user '{user}' belongs to no tenant"):
            policy.decide(self.RULES, user)
