"""The NodeManager's folders of users, applications and containers: owners and modes as recorded."""

import os
import pwd
from typing import NamedTuple

from integration.container_executor.errors import Code, Refusal
from integration.container_executor.users import acting_as


class Caller(NamedTuple):
    """The NodeManager: its user, who called, and the group that owns its folders."""

    uid: int
    gid: int


class Container(NamedTuple):
    """What launch calls name: files of the NodeManager, and where the container's own go."""

    user: pwd.struct_passwd
    application: str
    id: str
    work_dir: str
    script: str
    tokens: str
    pid_file: str
    local_dirs: list[str]
    log_dirs: list[str]

    @property
    def script_copy(self) -> str:
        return f"{self.work_dir}/launch_container.sh"

    @property
    def exit_code_file(self) -> str:
        return f"{self.pid_file}.exitcode"


def user_dir(local_dir: str, user: str) -> str:
    return f"{local_dir}/usercache/{user}"


def app_dir(local_dir: str, user: str, application: str) -> str:
    return f"{user_dir(local_dir, user)}/appcache/{application}"


def create_user_dirs(user: pwd.struct_passwd, local_dirs: list[str], caller: Caller) -> None:
    """usercache/<user> on every disk: 02750, the user's and the NodeManager group's."""
    for local_dir in local_dirs:
        path = user_dir(local_dir, user.pw_name)
        if "/../" in path:
            raise Refusal(Code.INITIALIZE_USER_FAILED, "Unsupported userdir directory path detected.", logged=True)
        _create_for_user(path, user, caller)


def create_app_log_dirs(user: pwd.struct_passwd, application: str, log_dirs: list[str], caller: Caller) -> None:
    """log/<application>, as `create_user_dirs` makes its folders; Refusal if no disk takes it."""
    usable = [log_dir for log_dir in log_dirs if _is_of(caller, log_dir)]
    if not usable:
        raise Refusal(Code.ERROR, "Did not create any app-log directories", logged=True)
    for log_dir in usable:
        _create_for_user(_plain(f"{log_dir}/{application}"), user, caller)


def create_container_log_dirs(
    user: pwd.struct_passwd, application: str, container: str, log_dirs: list[str], caller: Caller
) -> None:
    """log/<application>/<container>, before localization writes into it."""
    for log_dir in log_dirs:
        if _is_of(caller, log_dir):
            _create_for_user(_plain(f"{log_dir}/{application}/{container}"), user, caller)


def create_app_dirs(user: pwd.struct_passwd, application: str, local_dirs: list[str]) -> str:
    """appcache/<application> on every disk, made as the user; the first is returned."""
    made = []
    for local_dir in local_dirs:
        path = _plain(app_dir(local_dir, user.pw_name, application))
        try:
            _make_dirs(path, 0o750)
        except OSError as error:
            print(f"Can't create directory {path} - {error.strerror}")
        else:
            made.append(path)
    if not made:
        raise Refusal(Code.COULD_NOT_CREATE_WORK_DIRECTORIES, "Did not create any app directories", logged=True)
    return made[0]


def create_container_dirs(container: Container, caller: Caller) -> str:
    """The work, log and temporary folders, made as the user; the container's log folder is returned."""
    user = container.user.pw_name
    for local_dir in container.local_dirs:
        if _is_of(caller, local_dir):
            path = _plain(f"{app_dir(local_dir, user, container.application)}/{container.id}")
            _make_dirs(path, 0o710)
    log_dir = ""
    for root in container.log_dirs:
        if not _is_of(caller, root):
            raise Refusal(Code.COULD_NOT_CREATE_APP_LOG_DIRECTORIES, f"{root} is not the NodeManager's")
        log_dir = _plain(f"{root}/{container.application}/{container.id}")
        _make_dirs(log_dir, 0o750)
    for name in ("tmp", "private_slash_tmp", "private_var_slash_tmp"):
        path = f"{container.work_dir}/{name}"
        _make_dirs(path, 0o710)
        if name != "tmp":
            os.chmod(path, 0o710)  # without the setgid bit
    return log_dir


def create_docker_dirs(container: Container) -> None:
    """What only containers of type docker have: the user's filecache and an empty sysfs."""
    for local_dir in container.local_dirs:
        filecache = f"{user_dir(local_dir, container.user.pw_name)}/filecache"
        if not os.path.isdir(filecache):
            os.mkdir(filecache, 0o710)
        work_dir = f"{app_dir(local_dir, container.user.pw_name, container.application)}/{container.id}"
        _make_dirs(f"{work_dir}/sysfs", 0o710)


def open_as_nodemanager(path: str, caller: Caller) -> int:
    """A descriptor of a file that the NodeManager may read; what others own is no way in."""
    with acting_as(caller.uid, caller.gid):
        try:
            return os.open(path, os.O_RDONLY)
        except OSError as error:
            message = f"Can't open file {path} as node manager - {error.strerror}"
            raise Refusal(Code.INVALID_NM_ROOT_DIRS, message, logged=True) from error


def copy(source: int, target: str, mode: int, failure: Code) -> None:
    """Copy an open file to a new one; an existing target is not overwritten."""
    try:
        with (
            open(source, "rb") as reader,
            open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb") as writer,
        ):
            writer.write(reader.read())
    except OSError as error:
        raise Refusal(failure, f"Can't open {target} for output - {error.strerror}", logged=True) from error


def write_as_nodemanager(path: str, number: int, caller: Caller) -> None:
    """A pid or exit code, complete or not there at all."""
    scratch = f"{path}.tmp"
    with acting_as(caller.uid, caller.gid):
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700)
        with open(descriptor, "w") as file:
            file.write(str(number))
        os.rename(scratch, path)


def _make_dirs(path: str, mode: int) -> None:
    """As os.makedirs, with `mode` for the folders above too."""
    if not os.path.isdir(path):
        _make_dirs(os.path.dirname(path), mode)
        os.mkdir(path, mode)


def _create_for_user(path: str, user: pwd.struct_passwd, caller: Caller) -> None:
    with acting_as(0, caller.gid):
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if not os.path.isdir(path):
                os.mkdir(path, 0o750)
            os.chown(path, user.pw_uid, caller.gid, follow_symlinks=False)
            os.chmod(path, 0o2750)
        except OSError as error:
            message = f"Failed to create directory {path} - {error.strerror}"
            raise Refusal(Code.INITIALIZE_USER_FAILED, message, logged=True) from error


def _is_of(caller: Caller, folder: str) -> bool:
    """Is it a folder of the NodeManager?  A call may not name others."""
    try:
        owner = os.stat(folder).st_uid
    except OSError as error:
        print(f"Can't stat {folder} - {error.strerror}")
        return False
    if owner != caller.uid:
        print(f"Permission mismatch for {folder} for caller uid: {caller.uid}, owner uid: {owner}.")
        return False
    return True


def _plain(path: str) -> str:
    if ".." in path:
        message = f"Unsupported directory path {path} detected."
        raise Refusal(Code.COULD_NOT_CREATE_WORK_DIRECTORIES, message, logged=True)
    return path
