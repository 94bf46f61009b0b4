"""What Docker itself wrote of a container: its name, and the folder that holds its files.

Docker names that folder in the bundle's mount of /etc/hostname, and has config.v2.json there before it
calls create.  Both are root's; the application can set neither.
"""

from __future__ import annotations

from yarn_kata_runtime import plainjson
from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.node import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from yarn_kata_runtime.container.spec import Spec

_LIMIT = 4 * 1024 * 1024
_STATE = "config.v2.json"
_ID_LENGTH = 64


class DockerState:
    """`name` without the slash, `folder` = <data root>/containers/<id>; both "" for other engines."""

    __slots__ = ("folder", "name")

    def __init__(self, name: str, folder: str) -> None:
        self.name = name
        self.folder = folder

    def own_folders(self) -> list[str]:
        """Return where the sources of Docker's own mounts lie: its files, and volumes without a name."""
        return [self.folder] if self.folder else []

    def made_volume(self, source: str) -> bool:
        """Say whether `source` is a volume that Docker made for a VOLUME of the image."""
        root = self.folder.removesuffix(f"/containers/{self.folder.rpartition('/')[2]}")
        parts = source.removeprefix(f"{root}/volumes/").split("/")
        anonymous = len(parts[0]) == _ID_LENGTH and not set(parts[0]) - set("0123456789abcdef")
        return bool(self.folder) and source.startswith(f"{root}/volumes/") and anonymous and parts[1:] == ["_data"]


def state_of(spec: Spec, oci_id: str) -> DockerState:
    """Return Docker's word on the container; Refused where it should be there and cannot be read."""
    for mount in spec.get("mounts", []):
        folder, _, name = mount.get("source", "").rpartition("/")
        if mount["destination"] == "/etc/hostname" and name == "hostname" and folder.endswith(f"/containers/{oci_id}"):
            return _read(folder)
    return DockerState("", "")


def _read(folder: str) -> DockerState:
    path = f"{folder}/{_STATE}"
    if not files.root_owned(path):
        return DockerState("", "")
    try:
        state = plainjson.load_object(files.read_file(path, _LIMIT))
    except (OSError, ValueError) as error:
        raise Refused(f"Docker's {path} cannot be read ({error}); look at dockerd's own log") from None
    name = state.get("Name")
    if type(name) is not str:
        raise Refused(f"Docker's {path} names no container; look at dockerd's own log")
    return DockerState(name.removeprefix("/"), folder)
