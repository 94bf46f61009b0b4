"""The spec's way from what YARN asked for to what the sandbox runs: one small step a function."""

from __future__ import annotations

from yarn_kata_runtime.container.launch_script import bound_everywhere, is_spark
from yarn_kata_runtime.container.policy import is_bind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from yarn_kata_runtime.compiled import RuntimeClass, Slot
    from yarn_kata_runtime.container.spec import Spec

INIT = "/.yarn-kata-init"  # where the static init is seen inside
_CLIENT_CAPABILITIES = ("CAP_SETGID", "CAP_SETUID")


class PortBlock:
    """The ports [first, last] that are the container's own, on its node and inside."""

    __slots__ = ("first", "last")

    def __init__(self, first: int, size: int) -> None:
        self.first = first
        self.last = first + size - 1


class Plan:
    """What was decided and prepared for one container; None or empty = leave that as it is.

    `folders`: mount source -> the idmapped clone to mount in its place.
    `files`: path inside -> file of ours, read-only.
    """

    __slots__ = ("block", "files", "folders", "host", "init", "runtime_class", "slot")

    def __init__(
        self,
        runtime_class: RuntimeClass,
        slot: Slot | None,
        block: PortBlock | None,
        folders: dict[str, str],
        files: dict[str, str],
        init: str,
        host: str,
    ) -> None:
        self.runtime_class = runtime_class
        self.slot = slot
        self.block = block
        self.folders = folders
        self.files = files
        self.init = init
        self.host = host


def rewrite(spec: Spec, plan: Plan) -> None:
    """Change `spec` in place to what the plan says."""
    strip_annotations(spec)
    harden(spec, plan.runtime_class)
    limit(spec, plan.runtime_class)
    swap_folders(spec, plan.folders)
    for destination, source in plan.files.items():
        put_file(spec, destination, source)
    if plan.host:
        advertise(spec, plan.host)
    if plan.slot:
        run_as(spec, plan.slot)
    if plan.block:
        narrow_ports(spec, plan.block, plan.init)


def strip_annotations(spec: Spec) -> None:
    """Drop every annotation: none that YARN or Docker sets is needed below."""
    spec.pop("annotations", None)


def harden(spec: Spec, runtime_class: RuntimeClass) -> None:
    """No setuid program of the image gives a tenant anything."""
    if runtime_class["no_new_privileges"]:
        spec["process"]["noNewPrivileges"] = True


def limit(spec: Spec, runtime_class: RuntimeClass) -> None:
    """Set the class's limits of processes and open files."""
    if runtime_class["pids"]:
        resources = spec.setdefault("linux", {}).setdefault("resources", {})
        resources["pids"] = {"limit": runtime_class["pids"]}
    if runtime_class["open_files"]:
        process = spec["process"]
        others = [r for r in process.get("rlimits", []) if r.get("type") != "RLIMIT_NOFILE"]
        count = runtime_class["open_files"]
        process["rlimits"] = [*others, {"type": "RLIMIT_NOFILE", "hard": count, "soft": count}]


def swap_folders(spec: Spec, folders: dict[str, str]) -> None:
    """Mount the idmapped clones in place of YARN's folders."""
    for mount in spec.get("mounts", []):
        if is_bind(mount):
            mount["source"] = folders.get(mount["source"], mount["source"])


def put_file(spec: Spec, destination: str, source: str) -> None:
    """Mount a file of ours last and read-only, so that nothing lies over it."""
    mounts = [m for m in spec.get("mounts", []) if m["destination"] != destination]
    mounts.append(
        {
            "destination": destination,
            "type": "bind",
            "source": source,
            "options": ["bind", "ro", "nosuid", "nodev", "rprivate"],
        }
    )
    spec["mounts"] = mounts


def advertise(spec: Spec, host: str) -> None:
    """In entry-point mode Spark's command stands in the spec itself: adapt it there."""
    process = spec["process"]
    if any(is_spark(word) for word in process["args"]):
        process["args"] = [bound_everywhere(word) for word in process["args"]]
        kept = [e for e in process.get("env", []) if not e.startswith("SPARK_LOCAL_HOSTNAME=")]
        process["env"] = [*kept, f"SPARK_LOCAL_HOSTNAME={host}"]


def run_as(spec: Spec, slot: Slot) -> None:
    """Run the process as the slot, in the slot's group alone."""
    slot_process(spec["process"], slot)


def slot_process(process: Spec, slot: Slot) -> None:
    """Make an OCI process (a container's or an exec's) the slot's."""
    process["user"] = {"uid": slot["uid"], "gid": slot["gid"], "additionalGids": [slot["gid"]]}


def narrow_ports(spec: Spec, block: PortBlock, init: str) -> None:
    """Make port-0 binds and outgoing connections fall into the block.

    By sysctl, or where the sandbox ignores sysctls (`init` is the static init's path on the node) by a
    first process that writes them inside and then becomes the container's user.
    """
    if init:
        _start_with_init(spec, block, init)
    else:
        sysctl = spec.setdefault("linux", {}).setdefault("sysctl", {})
        sysctl["net.ipv4.ip_local_port_range"] = f"{block.first} {block.last}"
        sysctl["net.ipv4.tcp_tw_reuse"] = "1"  # closed connections hold their port 1 s instead of 60


def _start_with_init(spec: Spec, block: PortBlock, init: str) -> None:
    process = spec["process"]
    user = process["user"]
    groups = ",".join(str(g) for g in user.get("additionalGids", [])) or "-"
    numbers = (block.first, block.last, user["uid"], user["gid"])
    process["args"] = [INIT, *(str(n) for n in numbers), groups, process["cwd"], "--", *process["args"]]
    process["user"] = {"uid": 0, "gid": 0}
    process["cwd"] = "/"  # root without CAP_DAC_OVERRIDE may not enter the tenant's folder
    capabilities = process.setdefault("capabilities", {})
    bounding = set(capabilities.get("bounding", [])) | set(_CLIENT_CAPABILITIES)
    process["capabilities"] = {
        "bounding": sorted(bounding),
        "effective": list(_CLIENT_CAPABILITIES),
        "permitted": list(_CLIENT_CAPABILITIES),
    }
    put_file(spec, INIT, init)
