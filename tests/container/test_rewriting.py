"""From YARN's spec to the sandbox's: what each step changes, and that nothing else does."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from tests.container.specs import (
    ALICE,
    CONTAINERS,
    DOCKER,
    LOCAL,
    LOG,
    SLOT,
    Spec,
    application,
    golden,
    mount,
    mounts_below,
    runtime_class,
)
from yarn_kata_runtime.container import rewriting
from yarn_kata_runtime.container.rewriting import INIT, Plan, PortBlock

if TYPE_CHECKING:
    from yarn_kata_runtime.compiled import Slot

NAME = "ds-bridge"
BLOCK = PortBlock(20480, 256)
RECORD = "/run/yarn-kata/containers/x"
NATIVE_INIT = "/opt/yarn-kata-runtime/init"
FILE_OPTIONS = ["bind", "ro", "nosuid", "nodev", "rprivate"]


def our_mount(destination: str, source: str) -> Spec:
    return {"destination": destination, "type": "bind", "source": source, "options": FILE_OPTIONS}


def plan(
    slot: Slot | None = SLOT,
    block: PortBlock | None = BLOCK,
    folders: dict[str, str] | None = None,
    files: dict[str, str] | None = None,
    init: str = "",
    host: str = "",
    **changed: Any,
) -> Plan:
    return Plan(runtime_class(**changed), slot, block, folders or {}, files or {}, init, host)


def rewritten(name: str, given: Plan) -> Spec:
    spec = golden(name)
    rewriting.rewrite(spec, given)
    return spec


def clones(name: str) -> dict[str, str]:
    """Return what slots swap: the tenant's folders, each for its idmapped clone."""
    sources = [m["source"] for m in golden(name)["mounts"]]
    tenants = [s for s in sources if s.startswith((f"{LOCAL}/usercache/", f"{LOG}/"))]
    return {source: f"{RECORD}/folder{index}" for index, source in enumerate(tenants)}


class TestBlock:
    def test_its_last_port_is_its_own(self) -> None:
        assert (BLOCK.first, BLOCK.last) == (20480, 20735)


class TestWhole:
    @pytest.mark.parametrize("name", CONTAINERS)
    def test_an_empty_plan_changes_nothing(self, name: str) -> None:
        assert rewritten(name, plan(slot=None, block=None)) == golden(name)

    @pytest.mark.parametrize("name", DOCKER)
    def test_slot_and_ports_by_sysctl(self, name: str) -> None:
        files = {"/etc/passwd": f"{RECORD}/passwd", "/etc/group": f"{RECORD}/group"}
        result = rewritten(name, plan(folders=clones(name), files=files))

        expected = golden(name)
        for m in expected["mounts"]:
            m["source"] = clones(name).get(m["source"], m["source"])
        expected["mounts"] = [m for m in expected["mounts"] if m["destination"] not in files]
        expected["mounts"] += [our_mount(*pair) for pair in files.items()]
        expected["process"]["user"] = {"uid": 6001, "gid": 6001, "additionalGids": [6001]}
        sysctl = expected["linux"].setdefault("sysctl", {})
        sysctl |= {"net.ipv4.ip_local_port_range": "20480 20735", "net.ipv4.tcp_tw_reuse": "1"}
        assert result == expected
        assert len(clones(name)) == 3
        assert mounts_below(result, f"{LOCAL}/filecache"), "the public cache is the NodeManager's"

    @pytest.mark.parametrize("name", DOCKER)
    def test_slot_and_ports_by_init(self, name: str) -> None:
        result = rewritten(name, plan(init=NATIVE_INIT))

        expected = golden(name)
        process = expected["process"]
        process["args"] = [
            INIT,
            "20480",
            "20735",
            "6001",
            "6001",
            "6001",
            process["cwd"],
            "--",
            *process["args"],
        ]
        process["user"] = {"uid": 0, "gid": 0}
        process["cwd"] = "/"
        process["capabilities"]["effective"] = process["capabilities"]["permitted"] = [
            "CAP_SETGID",
            "CAP_SETUID",
        ]
        expected["mounts"].append(our_mount(INIT, NATIVE_INIT))
        assert result == expected

    @pytest.mark.parametrize("name", CONTAINERS)
    def test_ports_by_init_without_slots(self, name: str) -> None:
        """The init becomes the user that YARN named, with the groups that YARN named."""
        before = golden(name)["process"]
        process = rewritten(name, plan(slot=None, init=NATIVE_INIT))["process"]
        groups = "5001,5001" if name in DOCKER else "-"
        assert process["args"] == [
            *(INIT, "20480", "20735", str(ALICE), str(ALICE), groups, before["cwd"], "--"),
            *before["args"],
        ]
        bounding = {"CAP_SETGID", "CAP_SETUID", *before.get("capabilities", {}).get("bounding", [])}
        assert process["capabilities"]["bounding"] == sorted(bounding)

    def test_every_step_is_taken(self) -> None:
        spec = golden("ds-entrypoint")
        spec["annotations"] = {"org.example": "x"}
        spec["process"]["args"] = [f"java {AM} --class X"]
        expected = copy.deepcopy(spec)
        hard = plan(files={"/x": "/y"}, host="nm1.lab", pids=9, open_files=8, no_new_privileges=True)
        rewriting.rewrite(spec, hard)

        del expected["annotations"]
        expected["process"] |= {
            "args": [f"java -Dspark.driver.bindAddress=0.0.0.0 {AM} --class X"],
            "env": [*expected["process"]["env"], "SPARK_LOCAL_HOSTNAME=nm1.lab"],
            "noNewPrivileges": True,
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 8, "soft": 8}],
            "user": {"uid": 6001, "gid": 6001, "additionalGids": [6001]},
        }
        expected["linux"]["resources"]["pids"] = {"limit": 9}
        ports = {"net.ipv4.ip_local_port_range": "20480 20735", "net.ipv4.tcp_tw_reuse": "1"}
        expected["linux"]["sysctl"] |= ports
        expected["mounts"].append(our_mount("/x", "/y"))
        assert spec == expected

    @pytest.mark.parametrize("name", CONTAINERS)
    def test_a_slot_without_ports(self, name: str) -> None:
        expected = golden(name)
        expected["process"]["user"] = {"uid": 6001, "gid": 6001, "additionalGids": [6001]}
        assert rewritten(name, plan(block=None)) == expected

    @pytest.mark.parametrize("name", CONTAINERS)
    def test_ports_without_a_slot(self, name: str) -> None:
        expected = golden(name)
        sysctl = expected["linux"].setdefault("sysctl", {})
        sysctl |= {"net.ipv4.ip_local_port_range": "20480 20735", "net.ipv4.tcp_tw_reuse": "1"}
        assert rewritten(name, plan(slot=None)) == expected

    @pytest.mark.parametrize("name", CONTAINERS)
    def test_by_sysctl_twice_is_as_once(self, name: str) -> None:
        given = plan(
            folders=clones(name), files={"/etc/passwd": "/x"}, host="nm1.lab", pids=99, open_files=1024
        )
        spec = rewritten(name, given)
        once = copy.deepcopy(spec)
        rewriting.rewrite(spec, given)
        assert spec == once


class TestStripAnnotations:
    def test_all_are_gone(self) -> None:
        spec = golden(NAME) | {"annotations": {"org.example": "x"}}
        rewriting.strip_annotations(spec)
        assert spec == golden(NAME)
        rewriting.strip_annotations(spec)
        assert spec == golden(NAME)


class TestHarden:
    @pytest.mark.parametrize("before", [None, False, True])
    def test_setuid_programs_are_without_effect(self, before: bool | None) -> None:
        spec = golden(NAME)
        if before is not None:
            spec["process"]["noNewPrivileges"] = before
        kept = copy.deepcopy(spec)
        rewriting.harden(spec, runtime_class(no_new_privileges=False))
        assert spec == kept
        rewriting.harden(spec, runtime_class(no_new_privileges=True))
        assert spec["process"].pop("noNewPrivileges") is True
        kept["process"].pop("noNewPrivileges", None)
        assert spec == kept


class TestLimit:
    def test_none_is_the_callers(self) -> None:
        spec = golden(NAME)
        spec["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "hard": 5, "soft": 5}]
        spec["linux"]["resources"]["pids"] = {"limit": 77}
        kept = copy.deepcopy(spec)
        rewriting.limit(spec, runtime_class())
        assert spec == kept

    def test_processes(self) -> None:
        spec = golden(NAME)
        rewriting.limit(spec, runtime_class(pids=500))
        assert spec["linux"]["resources"].pop("pids") == {"limit": 500}
        assert spec == golden(NAME)
        bare: Spec = {"process": {}}
        rewriting.limit(bare, runtime_class(pids=500))
        assert bare == {"process": {}, "linux": {"resources": {"pids": {"limit": 500}}}}

    def test_it_replaces_the_callers(self) -> None:
        spec = golden(NAME)
        spec["linux"]["resources"]["pids"] = {"limit": -1}
        core = {"type": "RLIMIT_CORE", "hard": 0, "soft": 0}
        spec["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "hard": 9, "soft": 5}, core]
        rewriting.limit(spec, runtime_class(pids=500, open_files=4096))
        assert spec["linux"]["resources"]["pids"] == {"limit": 500}
        assert spec["process"]["rlimits"] == [core, {"type": "RLIMIT_NOFILE", "hard": 4096, "soft": 4096}]


class TestSwapFolders:
    def test_bind_mounts_alone_change_their_source(self) -> None:
        same = {"destination": "/x", "type": "tmpfs", "source": "/a"}
        spec: Spec = {"mounts": [mount("/a", "ro"), mount("/a", destination="/again"), mount("/b"), same]}
        expected = copy.deepcopy(spec)
        expected["mounts"][0]["source"] = expected["mounts"][1]["source"] = "/clone"
        rewriting.swap_folders(spec, {"/a": "/clone"})
        assert spec == expected
        rewriting.swap_folders({}, {"/a": "/clone"})


class TestPutFile:
    def test_it_is_the_last_and_only_mount_there(self) -> None:
        spec: Spec = {
            "mounts": [mount("/old", destination="/x"), mount("/a"), mount("/old2", "rw", destination="/x")]
        }
        rewriting.put_file(spec, "/x", "/new")
        assert spec == {"mounts": [mount("/a"), our_mount("/x", "/new")]}
        rewriting.put_file(spec, "/x", "/newer")
        assert spec == {"mounts": [mount("/a"), our_mount("/x", "/newer")]}

    def test_the_first_mount_of_all(self) -> None:
        spec: Spec = {}
        rewriting.put_file(spec, "/x", "/new")
        assert spec == {"mounts": [our_mount("/x", "/new")]}


AM = "org.apache.spark.deploy.yarn.ApplicationMaster"
EXECUTOR = "org.apache.spark.executor.YarnCoarseGrainedExecutorBackend"


class TestAdvertise:
    def test_what_is_not_sparks_stays(self) -> None:
        for name in CONTAINERS:
            spec = golden(name)
            rewriting.advertise(spec, "nm1.lab")
            assert spec == golden(name)

    def test_an_entry_point_that_starts_an_executor(self) -> None:
        spec = golden("ds-entrypoint")
        command = f"java -cp x {EXECUTOR} --driver-url spark://CoarseGrainedScheduler@nm1.lab:20480 1>/x"
        spec["process"]["args"] = ["bash", "-c", command]
        spec["process"]["env"].append("SPARK_LOCAL_HOSTNAME=evil.lab")
        rewriting.advertise(spec, "nm1.lab")

        expected = golden("ds-entrypoint")
        bound = command.replace(EXECUTOR, f"{EXECUTOR} --bind-address 0.0.0.0")
        expected["process"]["args"] = ["bash", "-c", bound]
        expected["process"]["env"].append("SPARK_LOCAL_HOSTNAME=nm1.lab")
        assert spec == expected

    def test_an_entry_point_without_an_environment(self) -> None:
        spec: Spec = {"process": {"args": [f"java {AM} --class X"]}}
        rewriting.advertise(spec, "nm1.lab")
        assert spec["process"] == {
            "args": [f"java -Dspark.driver.bindAddress=0.0.0.0 {AM} --class X"],
            "env": ["SPARK_LOCAL_HOSTNAME=nm1.lab"],
        }

    def test_no_name_where_there_is_no_route(self) -> None:
        """Spark takes an empty SPARK_LOCAL_HOSTNAME for a host name, and fails with it."""
        spec = golden("ds-entrypoint")
        spec["process"]["args"] = [f"java {AM} --class X"]
        expected = copy.deepcopy(spec)
        rewriting.rewrite(spec, plan(slot=None, block=None, host=""))
        assert spec == expected


class TestSlotProcess:
    @pytest.mark.parametrize(
        "user",
        [
            {"uid": 5001, "gid": 5001, "additionalGids": [0, 5000]},
            {"uid": 0, "gid": 0},
            {"username": "x"},
            None,
        ],
    )
    def test_nothing_of_the_old_user_is_left(self, user: object) -> None:
        process: Spec = {"args": ["sh"], "user": user}
        rewriting.slot_process(process, SLOT)
        assert process == {"args": ["sh"], "user": {"uid": 6001, "gid": 6001, "additionalGids": [6001]}}


class TestNarrowPorts:
    def test_other_sysctls_stay(self) -> None:
        spec: Spec = {"linux": {"sysctl": {"net.ipv4.ip_local_port_range": "1 9", "kernel.x": "y"}}}
        rewriting.narrow_ports(spec, BLOCK, "")
        wanted = {
            "net.ipv4.ip_local_port_range": "20480 20735",
            "net.ipv4.tcp_tw_reuse": "1",
            "kernel.x": "y",
        }
        assert spec == {"linux": {"sysctl": wanted}}

    def test_no_other_capability_comes_with_the_init(self) -> None:
        """Ambient and inheritable sets would outlive its change of user."""
        spec = golden(NAME)
        capabilities = spec["process"]["capabilities"]
        capabilities |= {kind: ["CAP_CHOWN"] for kind in ("effective", "permitted", "ambient", "inheritable")}
        rewriting.narrow_ports(spec, BLOCK, NATIVE_INIT)
        left = spec["process"]["capabilities"]
        assert sorted(left) == ["bounding", "effective", "permitted"]
        assert left["effective"] == left["permitted"] == ["CAP_SETGID", "CAP_SETUID"]
        assert left["bounding"] == golden(NAME)["process"]["capabilities"]["bounding"]

    def test_the_work_folder_is_handed_to_the_init(self) -> None:
        spec = golden(NAME)
        rewriting.narrow_ports(spec, BLOCK, NATIVE_INIT)
        folder = f"{LOCAL}/usercache/alice/appcache/{application(NAME)}/{CONTAINERS[NAME]}"
        assert spec["process"]["args"][5:] == [
            "5001,5001",
            folder,
            "--",
            "bash",
            f"{folder}/launch_container.sh",
        ]
        assert spec["process"]["cwd"] == "/"

    def test_an_image_cannot_put_its_own_init_there(self) -> None:
        spec: Spec = golden(NAME)
        spec["mounts"].append(mount("/srv/yarn/evil", destination=INIT))
        rewriting.narrow_ports(spec, BLOCK, NATIVE_INIT)
        assert [m for m in spec["mounts"] if m["destination"] == INIT] == [our_mount(INIT, NATIVE_INIT)]
        assert spec["mounts"][-1]["source"] == NATIVE_INIT
