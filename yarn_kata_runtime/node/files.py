"""Files for a process of root in folders that others may write to.

No symbolic link that somebody else could have made is followed, nothing but regular files is read,
and nothing here waits for another process.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

_OPENAT2 = 437  # the number on every architecture
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_IN_ROOT = 0x10

# A rename anywhere on the node may interrupt openat2 in a path with "..", so a tenant can provoke it.
_ATTEMPTS = 64

_MAX_LINKS = 40  # as the kernel has it
_CHUNK = 1 << 16


class UnsafeFile(OSError):
    """A file that is not what it must be to be read or removed; the text is a whole sentence."""


def read_file(path: str, limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes, in a folder that only root or the NodeManager writes.

    UnsafeFile for a symbolic link, anything else that is no regular file, and a larger file; otherwise
    the kernel's OSError.
    """
    try:
        # O_NONBLOCK: neither a fifo nor somebody's lease on the file may hold us up
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UnsafeFile(f"{path} is a symbolic link; put a regular file there") from None
        raise
    try:
        return _read_regular(descriptor, path, limit)
    finally:
        os.close(descriptor)


def read_beneath(root: str, relative: str, limit: int) -> bytes | None:
    """The content of a regular file in a tree that a tenant controls, or None where there is none.

    Links and ".." are resolved as a process with the root folder `root` sees them, so they never lead
    outside.  A fifo, socket or device is not opened at all: even that can have effects.  UnsafeFile for
    these, for a magic link of /proc and for more than `limit` bytes.
    """
    path = f"{root}/{relative}"
    try:
        found = _open_in_root(root, relative)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UnsafeFile(f"{path} leads through a link of /proc or in a circle; remove that link") from None
        raise
    try:
        _check_regular(found, path)
        descriptor = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_NONBLOCK)
    except BlockingIOError:
        raise UnsafeFile(f"{path} is held by another process's lease; end that process") from None
    finally:
        os.close(found)
    try:
        return _read_regular(descriptor, path, limit)
    finally:
        os.close(descriptor)


def write_file(path: str, data: bytes, mode: int, uid: int = 0, gid: int = 0) -> None:
    """Replace `path` by a file with this content, mode and owner, at once or not at all.

    The data are not forced to the disk: what the runtime writes is worth nothing after a crash of the
    node.  A symbolic link at `path` is replaced, never followed.
    """
    folder, name = _split(path)
    parent = open_real(folder)
    temporary = f".{os.urandom(8).hex()}.tmp"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=parent)
        try:
            _fill(descriptor, data, mode, uid, gid)
            os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            os.unlink(temporary, dir_fd=parent)
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        os.close(parent)


def root_owned(path: str) -> bool:
    """Whether root alone decides what is at `path`: a file or folder, and every folder to it, is root's
    and writable by nobody else, sticky or not.  Symbolic links count if root made them in such folders.
    False where there is nothing.
    """
    try:
        descriptor, trusted = _walk(path)
    except OSError:
        return False
    try:
        kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)
    return trusted and kind in (stat.S_IFREG, stat.S_IFDIR)


def remove_tree(path: str) -> None:
    """Remove a small folder of our own, or a file; nothing happens where there is none.

    Symbolic links are removed, not followed.  UnsafeFile where something is mounted: it and the folders
    above it stay, what came before it is gone.
    """
    folder, name = _split(path)
    try:
        parent = open_real(folder)
    except FileNotFoundError:
        return
    try:
        _remove(parent, name, path)
    finally:
        os.close(parent)


def open_real(path: str) -> int:
    """An O_PATH descriptor of `path`, without following a link that anyone but root could have made.

    Root's own links, in folders that nobody else can write, are the administrator's way to move a disk.
    Any other link raises UnsafeFile, and so does ".." in a folder that somebody else may move.
    """
    return _walk(path)[0]


def _open_in_root(root: str, relative: str) -> int:
    """An O_PATH descriptor of what a process with the root folder `root` finds at `relative`."""
    from .syscalls import c_path, call

    fields = (os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    how = b"".join(field.to_bytes(8, sys.byteorder) for field in fields)
    folder = open_real(root)
    try:
        for _ in range(_ATTEMPTS):
            try:
                return call("syscall", _OPENAT2, folder, c_path(relative), how, len(how))
            except BlockingIOError:
                continue
    finally:
        os.close(folder)
    raise UnsafeFile(f"{root}/{relative} changes all the time; stop what renames folders there")


def _check_regular(descriptor: int, path: str) -> None:
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        raise UnsafeFile(f"{path} is no regular file ({stat.filemode(mode)}); put one there")


def _read_regular(descriptor: int, path: str, limit: int) -> bytes:
    _check_regular(descriptor, path)
    content = bytearray()
    while chunk := os.read(descriptor, min(limit + 1 - len(content), _CHUNK)):
        content += chunk
        if len(content) > limit:
            raise UnsafeFile(f"{path} has more than {limit} bytes; make it smaller")
    return bytes(content)


def _fill(descriptor: int, data: bytes, mode: int, uid: int, gid: int) -> None:
    """Write a new file and close it."""
    try:
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    finally:
        os.close(descriptor)


def _remove(parent: int, name: str, path: str) -> None:
    """Remove `name`, which people know as `path`, from the folder `parent`."""
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        pass
    except IsADirectoryError:
        _remove_folder(parent, name, path)
    except OSError as error:
        raise _not_removed(error, path) from None


def _remove_folder(parent: int, name: str, path: str) -> None:
    try:
        os.rmdir(name, dir_fd=parent)
        return
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:  # a mount is EBUSY, whatever is in it
            raise _not_removed(error, path) from None
    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        for entry in os.listdir(folder):
            _remove(folder, entry, f"{path}/{entry}")
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=parent)


def _not_removed(error: OSError, path: str) -> OSError:
    if error.errno == errno.EBUSY:
        return UnsafeFile(f"{path} is a mount; unmount it before its folder is removed")
    return OSError(error.errno, error.strerror, path)


def _walk(path: str) -> tuple[int, bool]:
    """An O_PATH descriptor of `path`, and whether root alone decides what is there.

    Each name is looked up in the folder that was opened before it, so nothing that is renamed meanwhile
    leads elsewhere.  UnsafeFile as `open_real` says.
    """
    pending, links = _names(path if path.startswith("/") else f"{os.getcwd()}/{path}"), 0
    here = os.open("/", os.O_PATH)
    try:
        trusted = _only_root_writes(here)
        while pending:
            name = pending.pop()
            if trusted and links < _MAX_LINKS and (target := _link_of_root(here, name)):
                links += 1
                pending += _names(target)
                name = "/" if target.startswith("/") else "."
            elif name == ".." and not trusted:
                raise UnsafeFile(f"{path} has '..' below a folder that others than root can move; name the real folder")
            here = _entered(here, name, path)
            trusted = trusted and _only_root_writes(here)
    except OSError as error:
        os.close(here)
        raise error if isinstance(error, UnsafeFile) else OSError(error.errno, error.strerror, path) from None
    return here, trusted


def _link_of_root(folder: int, name: str) -> str | None:
    """Where a symbolic link leads that is root's; None for anything else."""
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if found.st_uid == 0 and stat.S_ISLNK(found.st_mode):
        return os.readlink(name, dir_fd=folder)
    return None


def _entered(folder: int, name: str, path: str) -> int:
    """Exchange the descriptor of a folder for that of what it has under `name`."""
    step = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=folder)
    if stat.S_ISLNK(os.fstat(step).st_mode):
        os.close(step)
        raise UnsafeFile(
            f"{path} leads through a symbolic link that others than root can change, or in a circle;"
            " name the real folder instead"
        )
    os.close(folder)
    return step


def _only_root_writes(descriptor: int) -> bool:
    found = os.fstat(descriptor)
    return found.st_uid == 0 and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _names(path: str) -> list[str]:
    """The components of `path`, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _split(path: str) -> tuple[str, str]:
    """The folder that holds `path`, and its name there."""
    folder, slash, name = path.rstrip("/").rpartition("/")
    return folder or slash or ".", name
