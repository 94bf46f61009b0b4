"""Whose container it is, told from what only root and the NodeManager can write.

Never from the hostname, the environment, labels or annotations: those are the application's to set.
What YARN writes is recorded in tests/golden; the sources of each fact are named where it is used.
"""

from __future__ import annotations

from os.path import normpath

from yarn_kata_runtime.errors import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from yarn_kata_runtime.compiled import Node
    from yarn_kata_runtime.container.spec import Spec

LAUNCH_SCRIPT = "launch_container.sh"


class Identity:
    """A YARN container: what it is called and whose it is.

    `user` is the YARN user that submitted the application, `uid`/`gid` are the OS ids that YARN runs it
    as (one account for everybody in non-secure mode), `script` is the trusted launch script's place
    relative to a local-dir's nmPrivate.
    """

    __slots__ = ("application", "container", "gid", "script", "uid", "user")

    def __init__(self, container: str, application: str, user: str, uid: int, gid: int) -> None:
        self.container = container
        self.application = application
        self.user = user
        self.uid = uid
        self.gid = gid
        self.script = f"{application}/{container}/{LAUNCH_SCRIPT}"


class Origin:
    """What the caller said of the container, as far as root alone can have said it."""

    __slots__ = ("bundle", "docker_name", "oci_id")

    def __init__(self, oci_id: str, bundle: str, docker_name: str) -> None:
        self.oci_id = oci_id
        self.bundle = bundle
        self.docker_name = docker_name  # "" = not Docker's, or no trusted word of it


def application_of(container: str) -> str | None:
    """Return the application id in a YARN container id, None if it is no such id.

    container[_e<epoch>]_<cluster time stamp>_<application>_<attempt>_<container>, digits all.
    Source: org.apache.hadoop.yarn.api.records.ContainerId.
    """
    prefix, _, rest = container.partition("_")
    parts = rest.split("_")
    if parts[0].startswith("e") and _digits(parts[0][1:]):
        del parts[0]
    if prefix != "container" or len(parts) != 4 or not all(map(_digits, parts)):
        return None
    return f"application_{parts[0]}_{parts[1]}"


def identify(spec: Spec, origin: Origin, node: Node, uid_of: Callable[[str], int | None]) -> Identity | None:
    """Return who the container belongs to, None if nothing about it is YARN's.

    `uid_of` looks up an OS account.  Raises Refused when there is any sign of YARN but not a full,
    consistent identity: such a container must neither run as a stranger's nor outside policy.
    """
    named = _names(spec, origin, node)
    folders = _Folders(spec, node)
    if not named and not folders.any and not _nm_private(origin.bundle, node):
        return None
    container = _agreed(named, origin)
    application = application_of(container)
    assert application is not None  # _agreed takes container ids only
    user = folders.user_of(container, application)
    identity = Identity(container, application, user, *_ids(spec))
    _check_script(spec, identity, node)
    _check_uid(identity, node, uid_of)
    return identity


def _names(spec: Spec, origin: Origin, node: Node) -> list[tuple[str, str]]:
    """Return (where, YARN container id) for every place that names one."""
    candidates = [("the Docker name", origin.docker_name), ("the container id", origin.oci_id)]
    if _nm_private(origin.bundle, node):
        candidates.append(("the bundle", origin.bundle.rpartition("/")[2]))
    for part in spec.get("linux", {}).get("cgroupsPath", "").replace(":", "/").split("/"):
        candidates.append(("linux.cgroupsPath", part.removeprefix("runc-")))
    for word in spec["process"]["args"]:
        folder, _, script = word.rpartition("/")
        if script == LAUNCH_SCRIPT:
            candidates.append(("process.args", folder.rpartition("/")[2]))
    return [(where, name) for where, name in candidates if application_of(name)]


def _agreed(named: list[tuple[str, str]], origin: Origin) -> str:
    """Return the one id that all places agree on, one of them being root's own word for it."""
    if len({name for _, name in named}) > 1:
        places = ", ".join(f"{where} says {name}" for where, name in named)
        raise Refused(f"the spec's YARN container id is ambiguous: {places}; only YARN may start such containers")
    if not any(where in ("the Docker name", "the container id") for where, _ in named):
        raise Refused(
            f"container {origin.oci_id} has signs of YARN (mounts, cgroup or launch script) but its name is "
            f"{origin.docker_name or 'unknown'!r}, not a YARN container id; only YARN may start such containers"
        )
    return named[0][1]


class _Folders:
    """The mounts of the spec that come from the NodeManager's local-dirs and log-dirs."""

    def __init__(self, spec: Spec, node: Node) -> None:
        self._local: list[tuple[str, str]] = []  # source, path below the local-dir
        self._log: list[tuple[str, str]] = []
        for mount in spec.get("mounts", []):
            source = normpath(mount.get("source", "")).replace("//", "/")  # POSIX keeps two leading slashes
            for folders, found in ((node["local_dirs"], self._local), (node["log_dirs"], self._log)):
                for folder in folders:
                    if (source + "/").startswith(folder + "/"):
                        found.append((source, source[len(folder) + 1 :]))
        self.any = bool(self._local or self._log)

    def user_of(self, container: str, application: str) -> str:
        """Return the YARN user whose folders are mounted; every folder must be this application's."""
        users = {self._check_local(source, path, container, application) for source, path in self._local}
        users.discard("")
        appcaches = {source for source, path in self._local if path.split("/")[2:] == ["appcache", application]}
        for source, path in self._log:
            if path != f"{application}/{container}" and not path.startswith(f"{application}/{container}/"):
                raise _stranger(source, container)
        if not self._log or len(users) != 1 or not appcaches:
            raise Refused(
                f"{container} mounts the folders of {' and '.join(sorted(users)) or 'no user'}, {len(appcaches)} "
                f"appcache folders of its application and {len(self._log)} log folders; YARN mounts one user's "
                "appcache and a log folder"
            )
        return users.pop()

    @staticmethod
    def _check_local(source: str, path: str, container: str, application: str) -> str:
        """Return the user that a folder below a local-dir belongs to, "" for what all users share."""
        if path == "filecache" or path.startswith("filecache/"):
            return ""
        parts = path.split("/")
        if len(parts) < 3 or parts[0] != "usercache":
            raise _stranger(source, container)
        if parts[2] == "filecache" or parts[2:4] == ["appcache", application]:
            return parts[1]
        raise _stranger(source, container)


def _stranger(source: str, container: str) -> Refused:
    return Refused(f"{container} mounts {source}, which is not a folder that YARN gives to this container")


def _check_script(spec: Spec, identity: Identity, node: Node) -> None:
    expected = f"/usercache/{identity.user}/appcache/{identity.application}/{identity.container}/{LAUNCH_SCRIPT}"
    for word in spec["process"]["args"]:
        if word.endswith("/" + LAUNCH_SCRIPT) and word not in {d + expected for d in node["local_dirs"]}:
            raise Refused(f"{identity.container} would run {word}, which is not its own launch script")


def _check_uid(identity: Identity, node: Node, uid_of: Callable[[str], int | None]) -> None:
    """YARN runs a container as its user's account, or in non-secure mode as the one configured account."""
    allowed = {uid_of(identity.user), node["nonsecure_uid"]} - {None, -1}
    if identity.uid == 0 or identity.uid not in allowed:
        raise Refused(
            f"{identity.container} of user {identity.user!r} would run as uid {identity.uid}; expected is the "
            "account of that name or the non-secure user (node.nonsecure_user in config.toml)"
        )


def _ids(spec: Spec) -> tuple[int, int]:
    user = spec["process"].get("user", {})
    return user.get("uid", 0), user.get("gid", 0)


def _nm_private(bundle: str, node: Node) -> bool:
    return any(bundle.startswith(f"{folder}/nmPrivate/") for folder in node["local_dirs"])


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
