"""Idmapped bind mounts: a tenant's folders, in which the YARN user's files appear as the slot's.

Nothing on disk changes its owner.  A map says which id on disk is seen as which; it is kept as a user
namespace, pinned under a path of ours until the node reboots, because making one costs a process
(2-9 ms) and using one costs nothing.  Ids that the map leaves out are seen as the overflow id and
cannot be created.

The mounts have names, under a folder of ours: they outlive a crash, and a sweep finds them
(`unmount_below`).
"""

from __future__ import annotations

import errno
import os
import stat
import sys

from .files import UnsafeFile, open_real
from .syscalls import c_path, call

# Numbers of system calls, the same on every architecture
_OPEN_TREE = 428
_MOVE_MOUNT = 429
_MOUNT_SETATTR = 442

_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 0x4
_MOUNT_ATTR_RDONLY = 0x1
_MOUNT_ATTR_NOSUID = 0x2
_MOUNT_ATTR_NODEV = 0x4
_MOUNT_ATTR_IDMAP = 0x100000
_MS_BIND = 0x1000
_MS_PRIVATE = 1 << 18
_MNT_DETACH = 0x2
_UMOUNT_NOFOLLOW = 0x8
_CLONE_NEWUSER = 0x10000000
_SIGKILL = 9  # `signal` imports enum

# What mount_setattr answers where the kernel, the filesystem or this very mount knows no maps
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)


class IdmapUnsupported(OSError):
    """The kernel or the filesystem of a source has no idmapped mounts; the text is a whole sentence."""


def pin_user_namespace(path: str, uids: list[tuple[int, int]], gids: list[tuple[int, int]]) -> None:
    """Keep at `path` a user namespace with these pairs of (id on disk, id seen).

    Nothing is done if one is there already, whatever its map: the path must name the map.  Of processes
    that race, one makes it and the others wait.  The folder of `path` must exist.  ValueError for an id
    that is there twice on one side.
    """
    _check_map(path, uids)
    _check_map(path, gids)
    if _is_namespace(path):
        return
    import fcntl  # for the first container of a slot only

    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if not _is_namespace(path):
            _pin(path, uids, gids)
    finally:
        os.close(folder)


def mount_idmapped(source: str, target: str, namespace_path: str, read_only: bool, expected_uid: int) -> None:
    """Mount the folder or file `source`, nosuid and nodev, on a new `target` with the map of a pinned namespace.

    `target` must not exist yet, its folder must.  What is mounted below the source stays out: YARN
    mounts nothing there, so whatever there is is not the tenant's to be given.  `source` may lie in
    folders that the tenant writes: no symbolic link but root's own is followed, and what was opened must
    belong to `expected_uid`, else UnsafeFile.  IdmapUnsupported where the kernel or the filesystem
    has none.  After an error there is no target.
    """
    opened = open_real(source)
    try:
        is_folder = _check_source(opened, source, expected_uid)
        tree = _clone(opened, source, namespace_path, read_only)
    finally:
        os.close(opened)
    try:
        _attach(tree, target, is_folder)
    finally:
        os.close(tree)


def unmount(path: str) -> None:
    """Take away the topmost mount on `path`, even while it is in use; nothing happens where there is none."""
    try:
        call("umount2", c_path(path), _MNT_DETACH | _UMOUNT_NOFOLLOW)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR):
            raise OSError(error.errno, error.strerror, path) from None


def mounts_below(folder: str) -> list[str]:
    """The mount points below the absolute `folder`, not itself, deepest first; one with several mounts comes
    as often.

    The time grows with the number of mounts on the node: for sweeps, not for every container.
    """
    prefix = os.fsencode(folder.rstrip("/")) + b"/"
    with open("/proc/self/mountinfo", "rb") as table:
        points = [_unescaped(line.split(b" ", 5)[4]) for line in table]
    below = [os.fsdecode(point) for point in points if point.startswith(prefix)]
    return sorted(below, key=lambda point: point.count("/"), reverse=True)


def unmount_below(folder: str) -> None:
    """Take away every mount below `folder`, as after a crash."""
    for point in mounts_below(folder):
        unmount(point)


def _check_map(path: str, pairs: list[tuple[int, int]]) -> None:
    for side in zip(*pairs, strict=True):
        for number in side:
            if side.count(number) > 1:
                raise ValueError(f"the map for {path} has the id {number} twice on one side; give each id once")


def _is_namespace(path: str) -> bool:
    """Whether a namespace is pinned at `path`: all of them are on one filesystem, nsfs."""
    try:
        return os.lstat(path).st_dev == os.stat("/proc/self/ns/user").st_dev
    except FileNotFoundError:
        return False


def _pin(path: str, uids: list[tuple[int, int]], gids: list[tuple[int, int]]) -> None:
    namespace = _new_user_namespace(uids, gids)
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        call("mount", c_path(f"/proc/self/fd/{namespace}"), c_path(path), None, _MS_BIND, None)
    finally:
        os.close(namespace)


def _new_user_namespace(uids: list[tuple[int, int]], gids: list[tuple[int, int]]) -> int:
    """A descriptor of a new user namespace; the process that was in it is gone."""
    told, tell = os.pipe()
    held, hold = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(hold)
        _live_in_user_namespace(tell, held)
    os.close(tell)
    os.close(held)
    try:
        _check_made(os.read(told, 1))
        _write_map(f"/proc/{child}/uid_map", uids)
        _write_map(f"/proc/{child}/gid_map", gids)
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY)
    finally:
        os.close(told)
        os.close(hold)
        os.kill(child, _SIGKILL)
        os.waitpid(child, 0)


def _live_in_user_namespace(tell: int, held: int) -> None:
    """The child: say how it went, as one byte of errno, and stay until the parent lets go or dies."""
    try:
        try:
            call("unshare", _CLONE_NEWUSER)
            result = 0
        except OSError as error:
            result = error.errno or errno.EIO
        os.write(tell, bytes([result]))
        os.read(held, 1)
    finally:
        os._exit(0)


def _check_made(result: bytes) -> None:
    code = result[0] if result else errno.ECHILD
    if code == errno.ENOSPC:
        raise IdmapUnsupported(
            "the kernel allows no further user namespace, which idmapped mounts need;"
            " raise the sysctl user.max_user_namespaces"
        )
    if code:
        raise IdmapUnsupported(
            f"the kernel made no user namespace, which idmapped mounts need ({os.strerror(code)});"
            " allow it, or turn slots off"
        )


def _write_map(path: str, pairs: list[tuple[int, int]]) -> None:
    # A mount takes the id on disk for the one inside the namespace and shows the one outside
    text = "".join(f"{disk} {seen} 1\n" for disk, seen in pairs)
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    except OSError as error:
        raise IdmapUnsupported(
            f"the kernel refused the map of ids {pairs} ({error.strerror}); take ids that exist in the user"
            " namespace of the NodeManager"
        ) from None
    finally:
        os.close(descriptor)


def _open_namespace(path: str) -> int:
    if not _is_namespace(path):
        raise FileNotFoundError(errno.ENOENT, "no user namespace is pinned here; pin it before it is used", path)
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)


def _check_source(opened: int, source: str, expected_uid: int) -> bool:
    """Whether the source is a folder; UnsafeFile if it is not what may be mounted."""
    found = os.fstat(opened)
    is_folder = stat.S_ISDIR(found.st_mode)
    if found.st_uid != expected_uid or not (is_folder or stat.S_ISREG(found.st_mode)):
        raise UnsafeFile(
            f"{source} is {stat.filemode(found.st_mode)} of uid {found.st_uid} and must be a folder or a regular file"
            f" of uid {expected_uid} to be mounted; find out who put it there"
        )
    return is_folder


def _clone(opened: int, source: str, namespace_path: str, read_only: bool) -> int:
    """A detached, idmapped bind mount of an opened file or folder."""
    namespace = _open_namespace(namespace_path)
    try:
        tree = call("syscall", _OPEN_TREE, opened, b"", _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_EMPTY_PATH)
        try:
            _set_attributes(tree, namespace, read_only)
        except OSError as error:
            os.close(tree)
            raise _explained(error, opened, source) from None
    finally:
        os.close(namespace)
    return tree


def _set_attributes(tree: int, namespace: int, read_only: bool) -> None:
    attributes = _MOUNT_ATTR_IDMAP | _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV
    if read_only:
        attributes |= _MOUNT_ATTR_RDONLY
    # private: nothing that is mounted in the source later shows up in the clone
    fields = (attributes, 0, _MS_PRIVATE, namespace)
    mount_attr = b"".join(field.to_bytes(8, sys.byteorder) for field in fields)
    call("syscall", _MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, mount_attr, len(mount_attr))


def _explained(error: OSError, opened: int, source: str) -> OSError:
    if error.errno not in _UNSUPPORTED:
        return OSError(error.errno, error.strerror, source)
    return IdmapUnsupported(
        f"{source} is on {_filesystem_type(opened)}, which the kernel {os.uname().release} cannot mount idmapped"
        f" ({error.strerror}); put yarn.nodemanager.local-dirs and log-dirs on ext4, xfs or btrfs with a kernel"
        " of at least 5.15, or turn slots off"
    )


def _attach(tree: int, target: str, is_folder: bool) -> None:
    if is_folder:
        os.mkdir(target, 0o700)
    else:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        call("syscall", _MOVE_MOUNT, tree, b"", _AT_FDCWD, c_path(target), _MOVE_MOUNT_F_EMPTY_PATH)
    except BaseException:
        remove = os.rmdir if is_folder else os.unlink
        remove(target)
        raise


def _filesystem_type(opened: int) -> str:
    """The type of the filesystem that a descriptor is on, by its mount: btrfs has device numbers of its own."""
    with open(f"/proc/self/fdinfo/{opened}", "rb") as info:
        mount = next(line.split()[1] for line in info if line.startswith(b"mnt_id:"))
    with open("/proc/self/mountinfo", "rb") as table:
        for line in table:
            if line.split(b" ", 1)[0] == mount:
                return line.partition(b" - ")[2].split(b" ", 1)[0].decode()
    return "a mount of another namespace"


def _unescaped(point: bytes) -> bytes:
    """A path as /proc writes it, where space, tab, newline and backslash are \\ooo."""
    first, *rest = point.split(b"\\")
    return first + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in rest)
