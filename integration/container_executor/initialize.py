"""Command 0: make the application's folders and run the localizer in them, as the user."""

import os
import pwd

from integration.container_executor.errors import Code
from integration.container_executor.folders import (
    Caller,
    copy,
    create_app_dirs,
    create_app_log_dirs,
    create_container_log_dirs,
    create_user_dirs,
    open_as_nodemanager,
)
from integration.container_executor.users import drop


def initialize(
    user: pwd.struct_passwd,
    application: str,
    container: str,
    tokens: str,
    local_dirs: list[str],
    log_dirs: list[str],
    localizer: list[str],
    caller: Caller,
) -> int:
    """Does not return: the localizer takes this process's place, its exit code is the call's."""
    create_user_dirs(user, local_dirs, caller)
    create_app_log_dirs(user, application, log_dirs, caller)
    create_container_log_dirs(user, application, container, log_dirs, caller)
    source = open_as_nodemanager(tokens, caller)
    drop(user)
    primary = create_app_dirs(user, application, local_dirs)
    copy(source, f"{primary}/{os.path.basename(tokens)}", 0o600, Code.COULD_NOT_CREATE_CREDENTIALS_COPY)
    os.chdir(primary)
    os.execvp(localizer[0], localizer)
