"""What a container needs on the node before it is created: mounts, files, names of its peers."""

from __future__ import annotations

import errno
import os

from yarn_kata_runtime import paths
from yarn_kata_runtime.container import launch_script
from yarn_kata_runtime.container.policy import is_bind, is_read_only
from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.node import accounts, files, idmap
from yarn_kata_runtime.runtime import record
from yarn_kata_runtime.runtime.release import FOLDER_PREFIX, pinned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from yarn_kata_runtime.compiled import Node, Ports, Slot
    from yarn_kata_runtime.container.identity import Identity
    from yarn_kata_runtime.container.spec import Spec

_SCRIPT_LIMIT = 16 * 1024 * 1024
_ACCOUNTS_LIMIT = 4 * 1024 * 1024


def idmapped_folders(spec: Spec, key: str, identity: Identity, slot: Slot, node: Node) -> dict[str, str]:
    """Mount the tenant's YARN folders so that what is the YARN user's on disk is the slot's inside.

    Returns source -> clone below the container's record.
    """
    namespace = pinned(slot, identity.uid, identity.gid, node["nm_gid"])
    os.makedirs(paths.namespaces(), 0o700, exist_ok=True)
    idmap.pin_user_namespace(namespace, _pairs(identity.uid, slot["uid"]), _groups(identity.gid, slot["gid"], node))
    clones: dict[str, str] = {}
    for mount in spec.get("mounts", []):
        source = mount.get("source", "")
        if is_bind(mount) and source not in clones and _is_tenants(source, node):
            clone = f"{record.folder(key)}/{FOLDER_PREFIX}{len(clones)}"
            idmap.mount_idmapped(source, clone, namespace, is_read_only(mount), identity.uid)
            clones[source] = clone
    return clones


def _is_tenants(source: str, node: Node) -> bool:
    """Say whether a folder belongs to the YARN user; the public filecache is the NodeManager's."""
    return any(source.startswith(f"{folder}/usercache/") for folder in node["local_dirs"]) or any(
        source.startswith(f"{folder}/") for folder in node["log_dirs"]
    )


def _pairs(disk: int, seen: int) -> list[tuple[int, int]]:
    return [(0, 0), (disk, seen)]  # root as itself: gVisor's gofer and virtiofsd create files as root


def _groups(disk: int, seen: int, node: Node) -> list[tuple[int, int]]:
    pairs = _pairs(disk, seen)
    if node["nm_gid"] not in (0, disk, seen):
        pairs.append((node["nm_gid"], node["nm_gid"]))  # YARN's folders are setgid to the NodeManager's group
    return pairs


def account_files(spec: Spec, key: str, bundle: str, identity: Identity, slot: Slot) -> dict[str, str]:
    """Write the container's passwd and group, in which the slot's uid has the tenant's name.

    Returns path inside -> file.  They rest on what the container would see: a file that YARN mounts
    there, else the image's.
    """
    home = "/"
    passwd = accounts.passwd_with(_seen(spec, bundle, "/etc/passwd"), identity.user, slot["uid"], slot["gid"], home)
    group = accounts.group_with(_seen(spec, bundle, "/etc/group"), identity.user, slot["gid"])
    made = {}
    for name, content in (("passwd", passwd), ("group", group)):
        files.write_file(f"{record.folder(key)}/{name}", content, 0o444)
        made[f"/etc/{name}"] = f"{record.folder(key)}/{name}"
    return made


def _seen(spec: Spec, bundle: str, path: str) -> bytes:
    for mount in reversed(spec.get("mounts", [])):
        if mount["destination"] == path and is_bind(mount):
            return files.read_file(mount["source"], _ACCOUNTS_LIMIT)
    root = spec["root"]["path"]
    if not root.startswith("/"):
        root = f"{bundle}/{root}"
    return files.read_beneath(root, path.lstrip("/"), _ACCOUNTS_LIMIT) or b""


def trusted_script(identity: Identity, node: Node) -> str:
    """Return the launch script as the NodeManager wrote it; Refused if there is none.

    The copy in the container's work folder is the tenant's to change.
    """
    for folder in node["local_dirs"]:
        try:
            content = files.read_file(f"{folder}/nmPrivate/{identity.script}", _SCRIPT_LIMIT)
        except FileNotFoundError:
            continue
        return content.decode("utf-8", "surrogateescape")
    raise Refused(
        f"the launch script nmPrivate/{identity.script} is in none of {', '.join(node['local_dirs'])}; "
        "node.local_dirs in config.toml must be yarn.nodemanager.local-dirs"
    )


def script_file(
    spec: Spec, key: str, identity: Identity, owner: tuple[int, int], script: str, host: str, ports: Ports
) -> dict[str, str]:
    """Write the adapted launch script, readable by the container's user alone; {} where nothing changes.

    Returns path inside -> file.
    """
    adapted = launch_script.adapted(script, host, ports)
    path = next((w for w in spec["process"]["args"] if w.endswith(f"/{identity.script}")), None)
    if path is None or adapted == script:
        return {}
    file = f"{record.folder(key)}/launch_container.sh"
    files.write_file(file, adapted.encode("utf-8", "surrogateescape"), 0o500, *owner)
    return {path: file}


def share_hosts(docker_folder: str) -> None:
    """Append the node's own hosts to the container's: other nodes are found where DNS has none.

    Docker appends to that file too, so it is added to and never replaced.
    """
    with open("/etc/hosts", "rb") as own:
        lines = [line for line in own.read(_ACCOUNTS_LIMIT).split(b"\n") if _names_a_peer(line)]
    try:
        hosts = os.open(f"{docker_folder}/hosts", os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return
        raise
    with open(hosts, "wb", buffering=0) as file:
        file.write(b"".join(line + b"\n" for line in lines))


def _names_a_peer(line: bytes) -> bool:
    fields = line.partition(b"#")[0].split()
    return len(fields) > 1 and not fields[0].startswith((b"127.", b"::1", b"fe00:", b"ff00:", b"ff02:"))
