"""Who a container belongs to: told from every golden spec, refused from every contradiction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.container.specs import (
    ALICE,
    BOB,
    CONTAINERS,
    DOCKER,
    LOCAL,
    LOG,
    Spec,
    application,
    golden,
    mount,
    mounts_below,
    node,
    origin,
    uid_of,
    without_yarn,
)
from yarn_kata_runtime.container.identity import Identity, Origin, application_of, identify
from yarn_kata_runtime.container.spec import checked
from yarn_kata_runtime.errors import Refused

NAME = "ds-bridge"
CONTAINER = CONTAINERS[NAME]
APPLICATION = application(NAME)
OTHER = "container_1795190376517_0099_01_000007"
OTHER_APPLICATION = "application_1795190376517_0099"
SIBLING = CONTAINER[:-1] + "9"  # another container of the same application
APPCACHE = f"{LOCAL}/usercache/alice/appcache"


def fields(identity: Identity | None) -> tuple[str, str, str, int, int, str]:
    assert identity is not None
    i = identity
    return (i.container, i.application, i.user, i.uid, i.gid, i.script)


def expected(name: str, user: str = "alice", uid: int = ALICE) -> tuple[str, str, str, int, int, str]:
    container, app = CONTAINERS[name], application(name)
    return (container, app, user, uid, ALICE, f"{app}/{container}/launch_container.sh")


class TestGolden:
    @pytest.mark.parametrize("name", CONTAINERS)
    def test_each_golden_spec_is_its_container(self, name: str) -> None:
        spec = golden(name)
        assert fields(identify(checked(spec), origin(name), node(), uid_of)) == expected(name)
        assert spec == golden(name), "identify changes nothing"

    @pytest.mark.parametrize("name", DOCKER)
    def test_an_epoch_in_the_container_id(self, name: str) -> None:
        """A ResourceManager that was restarted puts its epoch into container ids, never into applications'."""
        late = CONTAINERS[name].replace("container_", "container_e17_")
        spec = replaced(golden(name), CONTAINERS[name], late)
        found = identify(spec, Origin("0" * 64, "/run/bundle", late), node(), uid_of)
        assert found is not None
        assert (found.container, found.application) == (late, application(name))

    @pytest.mark.parametrize("name", CONTAINERS)
    def test_non_secure_mode_runs_everybody_as_one_account(self, name: str) -> None:
        spec = golden(name)
        spec["process"]["user"]["uid"] = 65534
        with pytest.raises(Refused, match="would run as uid 65534"):
            identify(spec, origin(name), node(), uid_of)
        found = identify(spec, origin(name), node(nonsecure_uid=65534), lambda user: None)
        assert fields(found) == expected(name, uid=65534)

    @pytest.mark.parametrize("name", CONTAINERS)
    def test_several_disks(self, name: str) -> None:
        """YARN mounts one appcache and one log folder from each good disk; the work folder is on one of them."""
        spec = golden(name)
        for m in [*mounts_below(spec, LOCAL), *mounts_below(spec, LOG)]:
            elsewhere = m["source"].replace("/var/lib/hadoop-yarn", "/disk2/yarn")
            spec["mounts"].append(m | {"source": elsewhere, "destination": elsewhere})
        several = node(local_dirs=["/disk2/yarn/nm/local", LOCAL], log_dirs=["/disk2/yarn/nm/log", LOG])
        assert fields(identify(spec, origin(name), several, uid_of)) == expected(name)

    def test_the_work_folder_may_be_on_any_disk(self) -> None:
        spec = replaced(golden(NAME), LOCAL, "/disk2/local")
        spec["mounts"].append(mount(f"{APPCACHE}/{APPLICATION}"))
        several = node(local_dirs=[LOCAL, "/disk2/local"])
        assert fields(identify(spec, origin(NAME), several, uid_of)) == expected(NAME)

    def test_a_localized_file_of_the_application_may_be_mounted(self) -> None:
        """YARN_CONTAINER_RUNTIME_DOCKER_LOCAL_RESOURCE_MOUNTS."""
        spec = golden(NAME)
        spec["mounts"].append(
            mount(f"{APPCACHE}/{APPLICATION}/filecache/10/x.conf", "ro", destination="/x.conf")
        )
        spec["mounts"].append(mount(f"{LOCAL}/usercache/alice/filecache/11/y", "ro", destination="/y"))
        spec["mounts"].append(mount(f"{LOCAL}/filecache/12/public", "ro", destination="/public"))
        spec["mounts"].append(mount(f"{OWN_LOG}/stdout", destination="/stdout"))
        assert fields(identify(spec, origin(NAME), node(), uid_of)) == expected(NAME)

    def test_hostname_environment_and_annotations_say_nothing(self) -> None:
        spec = golden(NAME)
        spec["hostname"] = "ctr-1795190376517-0099-01-000007"
        spec["process"]["env"] += [f"CONTAINER_ID={OTHER}", "USER=bob", "HADOOP_USER_NAME=bob"]
        spec["annotations"] = {"io.kubernetes.cri.container-name": OTHER}
        assert fields(identify(spec, origin(NAME), node(), uid_of)) == expected(NAME)


class TestForeign:
    @pytest.mark.parametrize("name", DOCKER)
    def test_a_plain_docker_run_is_nobodys(self, name: str) -> None:
        plain = Origin("f" * 64, "/run/bundle", "quirky_turing")
        assert identify(without_yarn(name), plain, node(), uid_of) is None

    @pytest.mark.parametrize(
        "name", ["", "web", "container", "container_1", "container_a_1_1_1", "mycontainer_1_2_3_4"]
    )
    def test_names_that_only_resemble_yarns(self, name: str) -> None:
        assert identify(without_yarn(NAME), Origin("f" * 64, "/b", name), node(), uid_of) is None

    def test_root_may_run_what_is_not_yarns(self) -> None:
        spec = without_yarn(NAME)
        spec["process"]["user"] = {"uid": 0, "gid": 0}
        assert identify(spec, Origin("f" * 64, "/b", "admin"), node(), uid_of) is None

    def test_a_spec_of_the_bare_minimum(self) -> None:
        spec = {"process": {"args": ["sh"], "cwd": "/"}, "root": {"path": "rootfs"}}
        assert identify(checked(spec), Origin("x", "/b", ""), node(), uid_of) is None

    def test_folders_that_only_begin_alike(self) -> None:
        spec = without_yarn(NAME)
        spec["mounts"] += [
            mount(f"{LOCAL}-backup/usercache/bob"),
            mount("/var/lib/hadoop-yarn"),
            mount(f"{LOG}s"),
        ]
        assert identify(spec, Origin("f" * 64, f"{LOCAL}/nmPrivate2/x", "backup"), node(), uid_of) is None


def replaced(value: Spec, old: str, new: str) -> Spec:
    """Return the spec with `new` for `old` in every string."""

    def walk(item: object) -> object:
        if isinstance(item, dict):
            return {key: walk(content) for key, content in item.items()}
        if isinstance(item, list):
            return [walk(content) for content in item]
        return item.replace(old, new) if isinstance(item, str) else item

    result = walk(value)
    assert isinstance(result, dict)
    return result


def swap_mount(spec: Spec, old: str, new: str) -> None:
    (found,) = (m for m in spec["mounts"] if m.get("source") == old)
    found["source"] = new


def add_mount(source: str) -> Callable[[Spec], None]:
    return lambda spec: spec["mounts"].append(mount(source, destination="/x"))


def drop(folder: str) -> Callable[[Spec], None]:
    def change(spec: Spec) -> None:
        spec["mounts"] = [m for m in spec["mounts"] if m.get("source") != folder]

    return change


def set_args(*args: str) -> Callable[[Spec], None]:
    return lambda spec: spec["process"].__setitem__("args", list(args))


def set_cgroup(path: str) -> Callable[[Spec], None]:
    return lambda spec: spec["linux"].__setitem__("cgroupsPath", path)


def set_user(**user: int) -> Callable[[Spec], None]:
    return lambda spec: spec["process"]["user"].update(user)


OWN_APPCACHE = f"{APPCACHE}/{APPLICATION}"
OWN_LOG = f"{LOG}/{APPLICATION}/{CONTAINER}"
NOT_A_FOLDER = "is not a folder that YARN gives to this container"
FOLDERS = "YARN mounts one user's appcache and a log folder"
SCRIPT = "is not its own launch script"
AMBIGUOUS = "YARN container id is ambiguous"
WRONG_UID = "would run as uid"

MUTATIONS: dict[str, tuple[Callable[[Spec], None], str]] = {
    "another user's appcache besides": (
        add_mount(f"{LOCAL}/usercache/bob/appcache/{APPLICATION}"),
        "folders of alice and bob",
    ),
    "another user's appcache instead": (
        lambda spec: swap_mount(spec, OWN_APPCACHE, f"{LOCAL}/usercache/bob/appcache/{APPLICATION}"),
        "folders of alice and bob",
    ),
    "another user's filecache": (add_mount(f"{LOCAL}/usercache/bob/filecache"), "folders of alice and bob"),
    "another application's appcache": (add_mount(f"{APPCACHE}/{OTHER_APPLICATION}"), NOT_A_FOLDER),
    "every application's appcache": (add_mount(APPCACHE), NOT_A_FOLDER),
    "a user's whole cache": (add_mount(f"{LOCAL}/usercache/alice"), NOT_A_FOLDER),
    "every user's cache": (add_mount(f"{LOCAL}/usercache"), NOT_A_FOLDER),
    "the whole local-dir": (add_mount(LOCAL), NOT_A_FOLDER),
    "a folder that begins as the public cache": (add_mount(f"{LOCAL}/filecache2"), NOT_A_FOLDER),
    "a cache that is not in usercache": (add_mount(f"{LOCAL}/nmPrivate/alice/filecache"), NOT_A_FOLDER),
    "nmPrivate": (add_mount(f"{LOCAL}/nmPrivate"), NOT_A_FOLDER),
    "its own part of nmPrivate": (add_mount(f"{LOCAL}/nmPrivate/{APPLICATION}/{CONTAINER}"), NOT_A_FOLDER),
    "a folder beside the caches": (add_mount(f"{LOCAL}/usercache/alice/secrets/x"), NOT_A_FOLDER),
    "out by ..": (add_mount(f"{OWN_APPCACHE}/../../../bob/appcache/{OTHER_APPLICATION}"), NOT_A_FOLDER),
    "out of the local-dir by .. and in again": (add_mount(f"{LOCAL}/../local/nmPrivate"), NOT_A_FOLDER),
    "two slashes first": (add_mount("/" + LOCAL + "/nmPrivate"), NOT_A_FOLDER),
    "slashes and dots": (add_mount(f"{LOCAL}//./nmPrivate//"), NOT_A_FOLDER),
    "another container's log": (add_mount(f"{LOG}/{APPLICATION}/{SIBLING}"), NOT_A_FOLDER),
    "another application's log": (
        lambda spec: swap_mount(spec, OWN_LOG, f"{LOG}/{OTHER_APPLICATION}/{OTHER}"),
        NOT_A_FOLDER,
    ),
    "a log folder that begins alike": (add_mount(f"{OWN_LOG}2"), NOT_A_FOLDER),
    "every log": (add_mount(LOG), NOT_A_FOLDER),
    "no log folder": (drop(OWN_LOG), "0 log folders"),
    "no appcache": (drop(OWN_APPCACHE), "0 appcache folders"),
    "a filecache that looks like the appcache": (
        lambda spec: swap_mount(
            spec, OWN_APPCACHE, f"{LOCAL}/usercache/alice/filecache/1/appcache/{APPLICATION}"
        ),
        "0 appcache folders",
    ),
    "only a part of the appcache": (
        lambda spec: swap_mount(spec, OWN_APPCACHE, f"{OWN_APPCACHE}/{CONTAINER}"),
        "0 appcache folders",
    ),
    "no folders at all": (
        lambda spec: spec.__setitem__("mounts", without_yarn(NAME)["mounts"]),
        "folders of no user",
    ),
    "another container's script": (
        set_args("bash", f"{APPCACHE}/{OTHER_APPLICATION}/{OTHER}/launch_container.sh"),
        AMBIGUOUS,
    ),
    "a sibling's script": (set_args("bash", f"{OWN_APPCACHE}/{SIBLING}/launch_container.sh"), AMBIGUOUS),
    "both its own and a sibling's script": (
        set_args(
            "bash",
            f"{OWN_APPCACHE}/{SIBLING}/launch_container.sh",
            f"{OWN_APPCACHE}/{CONTAINER}/launch_container.sh",
        ),
        AMBIGUOUS,
    ),
    "a script elsewhere": (set_args("bash", f"/tmp/{CONTAINER}/launch_container.sh"), SCRIPT),
    "a script in the application's folder": (set_args("bash", f"{OWN_APPCACHE}/launch_container.sh"), SCRIPT),
    "another user's script": (
        set_args("bash", f"{LOCAL}/usercache/bob/appcache/{APPLICATION}/{CONTAINER}/launch_container.sh"),
        SCRIPT,
    ),
    "another container's cgroup": (set_cgroup(f"/hadoop-yarn/{OTHER}/0123"), AMBIGUOUS),
    "another container's cgroup, runC's way": (set_cgroup(f"/hadoop-yarn/runc-{SIBLING}"), AMBIGUOUS),
    "another container's cgroup, systemd's way": (set_cgroup(f"hadoop.slice:docker:{OTHER}"), AMBIGUOUS),
    "its own cgroup within another's": (set_cgroup(f"/hadoop-yarn/{OTHER}/{CONTAINER}"), AMBIGUOUS),
    "another's cgroup within its own": (set_cgroup(f"/hadoop-yarn/{CONTAINER}/{OTHER}"), AMBIGUOUS),
    "root": (set_user(uid=0), WRONG_UID),
    "another user's uid": (set_user(uid=BOB), WRONG_UID),
    "nobody's uid": (set_user(uid=4711), WRONG_UID),
    "no user at all": (lambda spec: spec["process"].pop("user"), WRONG_UID),
}


class TestRefused:
    @pytest.mark.parametrize("what", MUTATIONS)
    def test_a_contradiction_in_the_spec(self, what: str) -> None:
        change, message = MUTATIONS[what]
        spec = golden(NAME)
        change(spec)
        with pytest.raises(Refused, match=message):
            identify(checked(spec), origin(NAME), node(), uid_of)

    @pytest.mark.parametrize("name", [*DOCKER])
    @pytest.mark.parametrize("other", [OTHER, SIBLING])
    def test_the_name_of_another_container(self, name: str, other: str) -> None:
        with pytest.raises(Refused):
            identify(golden(name), Origin("f" * 64, "/b", other), node(), uid_of)

    @pytest.mark.parametrize("name", DOCKER)
    @pytest.mark.parametrize("docker_name", ["", "quirky_turing", "container_1_1"])
    def test_yarns_folders_under_a_plain_name(self, name: str, docker_name: str) -> None:
        name_is = (
            f"container {'f' * 64} has signs of YARN .* its name is '{docker_name or 'unknown'}', not a YARN"
        )
        with pytest.raises(Refused, match=name_is):
            identify(golden(name), Origin("f" * 64, "/b", docker_name), node(), uid_of)

    def test_an_oci_id_that_contradicts_the_docker_name(self) -> None:
        with pytest.raises(Refused, match=AMBIGUOUS):
            identify(golden(NAME), Origin(OTHER, "/b", CONTAINER), node(), uid_of)

    @pytest.mark.parametrize("other", [OTHER, SIBLING])
    def test_the_bundle_of_another_container(self, other: str) -> None:
        name = "runc-mode"
        bundle = f"{LOCAL}/nmPrivate/{application(name)}/{other}"
        with pytest.raises(Refused, match=AMBIGUOUS):
            identify(golden(name), Origin(CONTAINERS[name], bundle, ""), node(), uid_of)

    def test_a_bundle_in_nm_private_alone(self) -> None:
        with pytest.raises(Refused, match="only YARN may start such containers"):
            identify(without_yarn(NAME), Origin("x", f"{LOCAL}/nmPrivate/a", ""), node(), uid_of)

    @pytest.mark.parametrize("name", CONTAINERS)
    def test_local_dirs_that_are_not_configured(self, name: str) -> None:
        """With another local-dir in config.toml than in yarn-site.xml nothing runs, rather than unprotected."""
        elsewhere = node(local_dirs=["/data/local"], log_dirs=["/data/log"])
        with pytest.raises(Refused, match=FOLDERS):
            identify(golden(name), origin(name), elsewhere, uid_of)

    def test_an_account_with_the_number_of_root(self) -> None:
        spec = golden(NAME)
        spec["process"]["user"]["uid"] = 0
        for given_node, look_up in ((node(nonsecure_uid=0), uid_of), (node(), lambda user: 0)):
            with pytest.raises(Refused, match=WRONG_UID):
                identify(spec, origin(NAME), given_node, look_up)

    def test_each_sign_alone(self) -> None:
        """One sign of YARN in an otherwise plain container: never a pass."""
        plain = Origin("f" * 64, "/b", "web")
        for source in (f"{LOCAL}/filecache", OWN_APPCACHE, OWN_LOG, LOCAL, f"{LOG}/x"):
            spec = without_yarn(NAME)
            spec["mounts"].append(mount(source))
            with pytest.raises(Refused):
                identify(spec, plain, node(), uid_of)
        for change in (
            set_cgroup(f"/hadoop-yarn/{CONTAINER}/1"),
            set_args("sh", f"/x/{CONTAINER}/launch_container.sh"),
        ):
            spec = without_yarn(NAME)
            change(spec)
            with pytest.raises(Refused):
                identify(spec, plain, node(), uid_of)
        for named in (Origin("f" * 64, "/b", CONTAINER), Origin(CONTAINER, "/b", "")):
            with pytest.raises(Refused):
                identify(without_yarn(NAME), named, node(), uid_of)


class TestApplicationOf:
    @pytest.mark.parametrize(
        ("container", "application"),
        [
            ("container_1795190376517_0001_01_000002", "application_1795190376517_0001"),
            ("container_e17_1410901177871_0001_01_000005", "application_1410901177871_0001"),
            ("container_1_12345_100_1234567", "application_1_12345"),
            ("container_e1_12_34_5_6", "application_12_34"),
        ],
    )
    def test_container_ids(self, container: str, application: str) -> None:
        assert application_of(container) == application

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "container",
            "container_",
            "container_1_2_3",
            "container_1_2_3_4_5",
            "container_e_1_2_3_4",
            "container_e1_2_3_4",
        ]
        + [
            "container_1_2_3_x",
            "container_1_2_3_",
            "container__2_3_4",
            "Container_1_2_3_4",
            "container_1_2_3_-4",
        ]
        + [
            "container_1_2_3_٤",
            "container_1_2_3_4 ",
            "container_1_2_3_4\n",
            "../container_1_2_3_4",
            "application_1_2",
        ]
        + [
            "container_e1_e2_1_2_3_4",
            "runc-container_1_2_3_4",
            "container_ex_12_34_5_6",
            "container_1_2_3_4/x",
            "container_+1_2_3_4",
        ],
    )
    def test_what_is_none(self, text: str) -> None:
        assert application_of(text) is None

    @given(st.text(alphabet="container_e0123456789/.x", max_size=60))
    def test_what_is_one_is_safe_in_a_path(self, text: str) -> None:
        found = application_of(text)
        assert found is None or "/" not in found + text
        if found is not None:
            assert found.split("_")[0] == "application"


# Each sign of YARN: as it is, as a plain container has it, or somebody else's.
USERS = ("alice", "bob", "carol")
APPLICATIONS = (APPLICATION, OTHER_APPLICATION)
IDS = (CONTAINER, SIBLING, OTHER)
OWN_SCRIPT = f"{OWN_APPCACHE}/{CONTAINER}/launch_container.sh"

some_user = st.sampled_from(USERS)
some_application = st.sampled_from(APPLICATIONS)
some_id = st.sampled_from(IDS)
some_path = st.lists(st.sampled_from([LOCAL, LOG, "/", "//", "..", "/usercache/", "alice", "."]), max_size=6)
some_source = st.one_of(
    st.builds(lambda u, a: f"{LOCAL}/usercache/{u}/appcache/{a}", some_user, some_application),
    st.builds(lambda u: f"{LOCAL}/usercache/{u}/filecache", some_user),
    st.builds(lambda a, c: f"{LOG}/{a}/{c}", some_application, some_id),
    st.sampled_from([LOCAL, LOG, f"{LOCAL}/filecache", f"{LOCAL}/usercache", f"{LOCAL}/nmPrivate"]),
    st.builds("".join, some_path),
)
some_script = st.builds(
    lambda u, a, c: f"{LOCAL}/usercache/{u}/appcache/{a}/{c}/launch_container.sh",
    some_user,
    some_application,
    some_id,
)
SIGNS: dict[str, tuple[object, object, st.SearchStrategy[object]]] = {  # YARN's, a plain container's, any
    "sources": (
        [f"{LOCAL}/filecache", OWN_LOG, f"{LOCAL}/usercache/alice/filecache", OWN_APPCACHE],
        [],
        st.one_of(
            st.lists(some_source, max_size=4),
            st.lists(some_source, max_size=2).map(lambda more: [OWN_LOG, OWN_APPCACHE, *more]),
        ),
    ),
    "args": (["bash", OWN_SCRIPT], ["date"], st.lists(some_script, min_size=1, max_size=2)),
    "cgroup": (
        f"/hadoop-yarn/{CONTAINER}/0123",
        "/docker/0123",
        st.one_of(some_id.map(lambda c: f"/hadoop-yarn/{c}/01"), some_id.map(lambda c: f"/runc-{c}")),
    ),
    "uid": (ALICE, ALICE, st.sampled_from([0, BOB, 7])),
    "docker_name": (CONTAINER, "web", st.sampled_from([*IDS, ""])),
    "oci_id": ("f" * 64, "f" * 64, some_id),
    "bundle": ("/b", "/b", some_id.map(lambda c: f"{LOCAL}/nmPrivate/{APPLICATION}/{c}")),
}


@st.composite
def signs(draw: st.DrawFn) -> dict[str, Any]:
    """Draw YARN's or a plain container's signs, some of them put in for one another or for somebody else's."""
    base = draw(st.integers(0, 1))
    drawn = {name: values[base] for name, values in SIGNS.items()}
    for name in draw(st.sets(st.sampled_from(sorted(SIGNS)), max_size=3)):
        drawn[name] = draw(st.one_of(st.just(SIGNS[name][1 - base]), SIGNS[name][2]))
    return drawn


@settings(max_examples=600)
@given(signs())
def test_no_mixture_of_signs_makes_another_of_a_container(drawn: dict[str, Any]) -> None:
    """An identity is that of the folders; None only where no sign is left."""
    spec = without_yarn(NAME)
    spec["mounts"] += [mount(source) for source in drawn["sources"]]
    spec["process"]["args"] = drawn["args"]
    spec["process"]["user"]["uid"] = drawn["uid"]
    spec["linux"]["cgroupsPath"] = drawn["cgroup"]
    said = Origin(drawn["oci_id"], drawn["bundle"], drawn["docker_name"])
    try:
        found = identify(checked(spec), said, node(), uid_of)
    except Refused:
        return
    words = " ".join(
        [*drawn["args"], drawn["cgroup"], drawn["docker_name"], drawn["oci_id"], drawn["bundle"]]
    )
    if found is None:
        assert not any(name in words for name in IDS)
        assert not mounts_below(spec, LOCAL) and not mounts_below(spec, LOG)
        return
    sources = drawn["sources"]
    assert f"{LOCAL}/usercache/{found.user}/appcache/{found.application}" in sources
    assert f"{LOG}/{found.application}/{found.container}" in sources
    assert not any(
        f"/usercache/{user}/" in source for user in USERS if user != found.user for source in sources
    )
    assert found.uid == uid_of(found.user) != 0
    assert found.container in (drawn["docker_name"], drawn["oci_id"])
    assert not any(name in words for name in IDS if name != found.container)
