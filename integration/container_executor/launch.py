"""What both kinds of launch do before the container's first process."""

import os

from integration.container_executor.errors import Code, Refusal
from integration.container_executor.folders import (
    Caller,
    Container,
    copy,
    create_app_dirs,
    create_app_log_dirs,
    create_container_dirs,
    create_user_dirs,
    open_as_nodemanager,
)


class Sources:
    """The launch script and the tokens, opened while the NodeManager's rights are there."""

    def __init__(self, container: Container, caller: Caller) -> None:
        print("Creating script paths...")
        self.script = open_as_nodemanager(container.script, caller)
        self.tokens = open_as_nodemanager(container.tokens, caller)


def create_local_dirs(container: Container, sources: Sources, caller: Caller) -> str:
    """All folders and the two copies; the work folder is entered, the log folder returned.

    To be called as the user; what needs root takes it for a moment.
    """
    print("Creating local dirs...")
    create_user_dirs(container.user, container.local_dirs, caller)
    create_app_log_dirs(container.user, container.application, container.log_dirs, caller)
    create_app_dirs(container.user, container.application, container.local_dirs)
    log_dir = create_container_dirs(container, caller)
    copy(sources.script, container.script_copy, 0o700, Code.COULD_NOT_CREATE_SCRIPT_COPY)
    tokens_copy = f"{container.work_dir}/container_tokens"
    copy(sources.tokens, tokens_copy, 0o600, Code.COULD_NOT_CREATE_CREDENTIALS_COPY)
    try:
        os.chdir(container.work_dir)
    except OSError as error:
        message = f"Can't change directory to {container.work_dir} -{error.strerror}"
        raise Refusal(Code.COULD_NOT_CREATE_WORK_DIRECTORIES, message) from error
    return log_dir
