"""Command 3: delete a file or a tree as the user; what the user may not delete stays."""

import os

from integration.container_executor.errors import Code
from integration.container_executor.folders import Caller
from integration.container_executor.users import acting_as


def delete(subdir: str, base_dirs: list[str], caller: Caller) -> int:
    """Delete `subdir` (absolute), or `subdir` below each of `base_dirs` ("" = those themselves)."""
    if not base_dirs:
        return _delete_path(subdir, False, caller)
    results = [
        _delete_path(f"{base}/{subdir}" if os.path.isdir(base) else base, not subdir, caller)
        for base in base_dirs
        if os.path.lexists(base)
    ]
    return next((result for result in results if result), 0)


def _delete_path(path: str, top_is_nodemanagers: bool, caller: Caller) -> int:
    if not path:
        print("Path is null")
        return Code.PATH_TO_DELETE_IS_NULL
    folder, name = os.path.split(path.rstrip("/"))
    try:
        parent = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        return 0
    except OSError as error:
        print(f"Error while deleting {path}: {error.errno} ({error.strerror})")
        return Code.ERROR
    try:
        _remove(parent, name)
        return 0
    except FileNotFoundError:
        return 0
    except OSError as error:
        if top_is_nodemanagers and isinstance(error, PermissionError):
            return _remove_empty(path, caller)
        print(f"Error while deleting {path}: {error.errno} ({error.strerror})")
        return Code.ERROR
    finally:
        os.close(parent)


def _remove(parent: int, name: str) -> None:
    """Without following symbolic links; as much as can be deleted is, the first error is raised."""
    try:
        descriptor = _open_folder(parent, name)
    except NotADirectoryError:
        os.unlink(name, dir_fd=parent)
        return
    failure: OSError | None = None
    try:
        for entry in os.listdir(descriptor):
            try:
                _remove(descriptor, entry)
            except FileNotFoundError:
                continue
            except OSError as error:
                failure = failure or error
    finally:
        os.close(descriptor)
    if failure:
        raise failure
    os.rmdir(name, dir_fd=parent)


def _open_folder(parent: int, name: str) -> int:
    """A descriptor of the folder, which gets rwx for its owner first; NotADirectoryError for the rest."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        descriptor = os.open(name, flags, dir_fd=parent)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=parent)
        descriptor = os.open(name, flags, dir_fd=parent)
    if os.fstat(descriptor).st_mode & 0o700 != 0o700:
        os.fchmod(descriptor, 0o700)
    return descriptor


def _remove_empty(path: str, caller: Caller) -> int:
    with acting_as(caller.uid, caller.gid):
        try:
            os.rmdir(path)
        except FileNotFoundError:
            return 0
        except OSError as error:
            print(f"rmdir of {path} failed - {error.strerror}")
            return Code.ERROR
    return 0
