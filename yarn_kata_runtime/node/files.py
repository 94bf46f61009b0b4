"""Files for a process of root in folders that others may write to.

No symbolic link that somebody else could have made is followed, nothing but regular files is read,
and nothing here waits for another process.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

from .syscalls import c_path, call

AT_FDCWD = -100

_OPENAT2 = 437  # the number on every architecture
_RESOLVE_NO_XDEV = 0x01
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
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
    """Whether root alone decides what is at `path`: a file or folder, and every folder to it,
    is root's and writable by nobody else, sticky or not.  Symbolic links count if root made them in
    such folders.  False where there is nothing.
    """
    try:
        real, trusted = _resolve_links_of_root(path)
        kind = stat.S_IFMT(os.lstat(real).st_mode)
    except OSError:
        return False
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
    Any other link raises UnsafeFile.
    """
    try:
        return _openat2(AT_FDCWD, path, os.O_PATH, _RESOLVE_NO_SYMLINKS)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    real, _ = _resolve_links_of_root(path)
    try:
        return _openat2(AT_FDCWD, real, os.O_PATH, _RESOLVE_NO_SYMLINKS)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise UnsafeFile(
            f"{path} leads through a symbolic link that others than root can change; name the real folder instead"
        ) from None


def _openat2(folder: int, path: str, flags: int, resolve: int) -> int:
    how = b"".join(field.to_bytes(8, sys.byteorder) for field in (flags | os.O_CLOEXEC, 0, resolve))
    try:
        return call("syscall", _OPENAT2, folder, c_path(path), how, len(how))
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None


def _open_in_root(root: str, relative: str) -> int:
    """An O_PATH descriptor of what a process with the root folder `root` finds at `relative`."""
    folder = open_real(root)
    try:
        for _ in range(_ATTEMPTS):
            try:
                return _openat2(folder, relative, os.O_PATH, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
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
    try:
        os.unlink(name, dir_fd=parent)
        return
    except FileNotFoundError:
        return
    except IsADirectoryError:
        pass
    except OSError as error:
        raise _not_removable(error, path) from None
    try:
        folder = _openat2(
            parent, name, os.O_RDONLY | os.O_DIRECTORY, _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_XDEV
        )
    except OSError as error:
        raise _not_removable(error, path) from None
    try:
        for entry in os.listdir(folder):
            _remove(folder, entry, f"{path}/{entry}")
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=parent)


def _not_removable(error: OSError, path: str) -> OSError:
    if error.errno in (errno.EBUSY, errno.EXDEV):  # a file and a folder with a mount on it
        return UnsafeFile(f"{path} is a mount; unmount it before its folder is removed")
    return OSError(error.errno, error.strerror, path)


def _resolve_links_of_root(path: str) -> tuple[str, bool]:
    """`path` with those symbolic links resolved that root alone can have made, and whether root alone
    decides about all of it.

    The names are looked up one after the other, each in a folder that only root can change: there is
    nobody to race with.  The walk ends where that ends; what follows is left as it is.
    """
    real, links = "/", 0
    pending = _names(path if path.startswith("/") else f"{os.getcwd()}/{path}")
    if _others_write(os.lstat(real)):
        return path, False
    while pending:
        name = pending.pop()
        if name == "..":
            real = _split(real)[0]
            continue
        step = f"{real.rstrip('/')}/{name}"
        rest = "/".join([step, *reversed(pending)])
        found = os.lstat(step)
        if stat.S_ISLNK(found.st_mode):
            links += 1
            if found.st_uid != 0 or links > _MAX_LINKS:
                return rest, False
            target = os.readlink(step)
            real = "/" if target.startswith("/") else real
            pending += _names(target)
        elif _others_write(found):
            return rest, False
        else:
            real = step
    return real, True


def _others_write(found: os.stat_result) -> bool:
    return found.st_uid != 0 or bool(found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _names(path: str) -> list[str]:
    """The components of `path`, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _split(path: str) -> tuple[str, str]:
    """The folder that holds `path`, and its name there."""
    folder, slash, name = path.rstrip("/").rpartition("/")
    return folder or slash or ".", name
