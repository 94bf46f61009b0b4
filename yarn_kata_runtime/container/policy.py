"""What the administrator lets a tenant's container be; whatever is not allowed is refused.

Each check looks at one subject of the spec and raises Refused with the value that offends.
"""

from __future__ import annotations

from os.path import normpath

from yarn_kata_runtime.errors import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from yarn_kata_runtime.compiled import Network, Node, Policy, RuntimeClass, Tenant
    from yarn_kata_runtime.container.identity import Identity
    from yarn_kata_runtime.container.spec import Spec

# Annotations by which runtimes let their caller change the sandbox itself; several advisories rest on them.
STEERING_ANNOTATIONS = ("io.katacontainers.", "dev.gvisor.", "run.oci.", "io.containerd.", "com.github.containers.")

# runc's own default devices and the tun device that it allows; source: libcontainer/specconv/spec_linux.go
_HARMLESS_DEVICES = {(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (10, 200)}
_PTY_MAJOR = 136

# What engines mount that shows nothing of the node's disks.
_VIRTUAL_FILESYSTEMS = {"proc", "tmpfs", "devpts", "sysfs", "cgroup", "cgroup2", "mqueue"}

_PRIVATE_NAMESPACES = ("mount", "pid", "ipc", "uts")


class Decision:
    """Which tenant a container belongs to and what it runs in."""

    __slots__ = ("max_containers", "runtime_class", "tenant")

    def __init__(self, tenant: str, runtime_class: RuntimeClass, max_containers: int) -> None:
        self.tenant = tenant
        self.runtime_class = runtime_class
        self.max_containers = max_containers


def decide(policy: Policy, user: str) -> Decision:
    """Return the decision for a YARN user; Refused if no tenant of the configuration names it.

    A user that is a tenant of its own must not be taken for a tenant that has the same name.
    """
    for tenant in policy["tenants"]:
        if any(matches(pattern, user) for pattern in tenant["users"]):
            return _decision(policy, tenant, user)
    raise Refused(f"YARN user {user!r} belongs to no tenant of this node; the administrator adds one in config.toml")


def _decision(policy: Policy, tenant: Tenant, user: str) -> Decision:
    if not tenant["name"] and any(other["name"] == user for other in policy["tenants"]):
        raise Refused(
            f"YARN user {user!r} is called as a tenant that it does not belong to; the administrator adds the user to "
            "it in config.toml, or renames it"
        )
    return Decision(tenant["name"] or user, policy["classes"][tenant["runtime_class"]], tenant["max_containers"])


def matches(pattern: str, name: str) -> bool:
    """Say whether `name` fits `pattern`, in which * stands for any text and ? for any one character."""
    star = -1  # where the last * of the pattern was, and from where in name it is tried again
    retry = 0
    p = n = 0
    while n < len(name):
        if p < len(pattern) and pattern[p] == "*":
            star, retry = p, n
            p += 1
        elif p < len(pattern) and pattern[p] in ("?", name[n]):
            p += 1
            n += 1
        elif star >= 0:
            retry += 1
            p, n = star + 1, retry
        else:
            return False
    return pattern[p:].strip("*") == ""


def check(
    spec: Spec,
    identity: Identity,
    runtime_class: RuntimeClass,
    node: Node,
    own_folders: list[str],
    is_host_network: Callable[[str], bool],
) -> Network:
    """Raise Refused if the spec asks for anything that the class forbids; return its kind of network.

    `own_folders`: folders that the engine made for this very container, trusted as mount sources.
    `is_host_network` says whether a path is the node's own network namespace.
    """
    who = identity.container
    check_annotations(spec, who)
    check_namespaces(spec, who)
    check_capabilities(spec, runtime_class, who)
    check_devices(spec, runtime_class, who)
    check_mounts(spec, runtime_class, node, own_folders, who)
    return check_network(spec, runtime_class, is_host_network, who)


def check_annotations(spec: Spec, who: str) -> None:
    """Refuse annotations that steer a sandbox; the others are dropped later."""
    for key in spec.get("annotations", {}):
        if key.startswith(STEERING_ANNOTATIONS):
            raise Refused(f"{who} carries the annotation {key!r}; sandboxes are set up by the node's policy alone")


def check_namespaces(spec: Spec, who: str) -> None:
    """Refuse a container that shares any of the node's namespaces but the network's, or remaps users."""
    namespaces = spec.get("linux", {}).get("namespaces", [])
    kinds = [namespace["type"] for namespace in namespaces]
    if len(set(kinds)) != len(kinds):
        raise Refused(f"{who} names a namespace twice ({', '.join(kinds)}); runtimes differ in which one they take")
    joined = {n["type"] for n in namespaces if n.get("path") and n["type"] != "network"}
    for kind in sorted({*_PRIVATE_NAMESPACES} - {*kinds} | joined):
        raise Refused(f"{who} asks for a shared {kind} namespace; tenants get namespaces of their own")
    if "user" in kinds:
        raise Refused(f"{who} comes with a user namespace (dockerd's userns-remap); slots take its place, turn it off")


def check_network(spec: Spec, runtime_class: RuntimeClass, is_host_network: Callable[[str], bool], who: str) -> Network:
    """Return "host" or "bridge" ("none" looks the same until start); Refused if the class has it not."""
    paths = [n.get("path", "") for n in spec.get("linux", {}).get("namespaces", []) if n["type"] == "network"]
    kind: Network = "bridge"
    if not paths or (paths[0] and is_host_network(paths[0])):
        kind = "host"
    elif paths[0]:
        raise Refused(f"{who} would join the network namespace {paths[0]}; tenants get one of their own")
    if kind not in runtime_class["networks"]:
        raise Refused(
            f"{who} asks for the {kind} network, but class {runtime_class['name']!r} allows "
            f"{' and '.join(runtime_class['networks'])} only; "
            "set YARN_CONTAINER_RUNTIME_DOCKER_CONTAINER_NETWORK=bridge"
        )
    return kind


def check_capabilities(spec: Spec, runtime_class: RuntimeClass, who: str) -> None:
    """Refuse any capability, in any of the five sets, that the class does not list."""
    for name, capabilities in spec["process"].get("capabilities", {}).items():
        extra = sorted(set(capabilities) - set(runtime_class["capabilities"]))
        if extra:
            raise Refused(
                f"{who} asks for {', '.join(extra)} ({name}), which class {runtime_class['name']!r} does not allow; "
                "privileged containers are not for tenants"
            )


def check_devices(spec: Spec, runtime_class: RuntimeClass, who: str) -> None:
    """Refuse devices beyond those that every container has, unless the class has them allowed."""
    if runtime_class["devices"]:
        return
    linux = spec.get("linux", {})
    for device in linux.get("devices", []):
        raise Refused(f"{who} asks for the device {device.get('path')}; class {runtime_class['name']!r} allows none")
    for rule in linux.get("resources", {}).get("devices", []):
        if rule.get("allow") and not _harmless(rule):
            raise Refused(
                f"{who} asks for access to the device {rule.get('type', 'a')} "
                f"{rule.get('major', '*')}:{rule.get('minor', '*')}; class {runtime_class['name']!r} allows none"
            )


def _harmless(rule: Spec) -> bool:
    if rule.get("access") == "m":  # mknod alone opens nothing
        return True
    if rule.get("type") != "c":
        return False
    return rule.get("major") == _PTY_MAJOR or (rule.get("major"), rule.get("minor")) in _HARMLESS_DEVICES


def check_mounts(spec: Spec, runtime_class: RuntimeClass, node: Node, own_folders: list[str], who: str) -> None:
    """Refuse bind mounts of anything but YARN's folders, the engine's own and what the class lists."""
    yarn = [*node["local_dirs"], *node["log_dirs"]]
    public = [f"{folder}/filecache" for folder in node["local_dirs"]]
    for mount in spec.get("mounts", []):
        if not is_bind(mount):
            if mount.get("type") not in _VIRTUAL_FILESYSTEMS:
                raise Refused(f"{who} mounts a {mount.get('type')!r} file system; tenants get bind mounts only")
            continue
        source = mount.get("source", "")
        if normpath(source) != source or not source.startswith("/") or source.startswith("//"):
            raise Refused(f"{who} mounts {source!r}, which is not a plain absolute path")
        if _below(source, public) and not is_read_only(mount):
            raise Refused(
                f"{who} mounts {source} writable, which all tenants of this node share; YARN mounts it read-only"
            )
        if _below(source, yarn) or _below(source, own_folders):
            continue
        allowed = runtime_class["mounts_rw"]
        if is_read_only(mount):
            allowed = [*allowed, *runtime_class["mounts_ro"]]
        if not _below(source, allowed):
            access = "read-only" if is_read_only(mount) else "writable"
            raise Refused(
                f"{who} mounts {source} ({access}), which class {runtime_class['name']!r} does not allow; "
                "the administrator lists such folders in mounts_ro or mounts_rw"
            )


def is_bind(mount: Spec) -> bool:
    """Say whether the mount shows a part of the node's file tree."""
    options = mount.get("options", [])
    return mount.get("type") == "bind" or "bind" in options or "rbind" in options


def is_read_only(mount: Spec) -> bool:
    """Say whether the mount is read-only: the last of ro and rw among the options counts."""
    return next((o for o in reversed(mount.get("options", [])) if o in ("ro", "rw")), "rw") == "ro"


def _below(path: str, folders: list[str]) -> bool:
    return any((path + "/").startswith(folder + "/") for folder in folders)
