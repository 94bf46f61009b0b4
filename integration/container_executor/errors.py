"""Exit codes of container-executor (Hadoop's util.h) and what it says of them."""

from enum import IntEnum


class Code(IntEnum):
    INVALID_ARGUMENT_NUMBER = 1
    INVALID_COMMAND_PROVIDED = 3
    INVALID_NM_ROOT_DIRS = 5
    SETUID_OPER_FAILED = 6
    UNABLE_TO_EXECUTE_CONTAINER_SCRIPT = 7
    UNABLE_TO_SIGNAL_CONTAINER = 8
    INVALID_CONTAINER_PID = 9
    INITIALIZE_USER_FAILED = 20
    PATH_TO_DELETE_IS_NULL = 21
    INVALID_CONTAINER_EXEC_PERMISSIONS = 22
    INVALID_CONFIG_FILE = 24
    WRITE_PIDFILE_FAILED = 26
    WRITE_CGROUP_FAILED = 27
    DOCKER_RUN_FAILED = 29
    FEATURE_DISABLED = 32
    COULD_NOT_CREATE_SCRIPT_COPY = 33
    COULD_NOT_CREATE_WORK_DIRECTORIES = 35
    COULD_NOT_CREATE_APP_LOG_DIRECTORIES = 36
    INVALID_CONTAINER_ID = 43
    COULD_NOT_CREATE_CREDENTIALS_COPY = 45
    INVALID_MOUNT = 49
    INVALID_RO_MOUNT = 50
    INVALID_RW_MOUNT = 51
    MOUNT_ACCESS_ERROR = 52
    INVALID_DOCKER_COMMAND_FILE = 53
    INCORRECT_DOCKER_COMMAND = 54
    INVALID_DOCKER_CONTAINER_NAME = 55
    INVALID_DOCKER_IMAGE_NAME = 56
    INVALID_DOCKER_USER_NAME = 57
    INVALID_DOCKER_INSPECT_FORMAT = 58
    UNKNOWN_DOCKER_COMMAND = 59
    INVALID_DOCKER_NETWORK = 60
    INVALID_DOCKER_CAPABILITY = 62
    PRIVILEGED_DOCKER_CONTAINERS_DISABLED = 63
    INVALID_DOCKER_DEVICE = 64
    INVALID_DOCKER_KILL_COMMAND = 66
    DOCKER_PID_HOST_DISABLED = 70
    INVALID_DOCKER_IMAGE_TRUST = 72
    INVALID_DOCKER_RUNTIME = 74
    SERVICE_MODE_DISABLED = 75
    ERROR = 255


_TEXTS = {
    Code.INVALID_ARGUMENT_NUMBER: "Invalid argument number",
    Code.INVALID_COMMAND_PROVIDED: "Invalid command provided",
    Code.INVALID_NM_ROOT_DIRS: "Invalid NM root dirs",
    Code.SETUID_OPER_FAILED: "setuid operation failed",
    Code.UNABLE_TO_EXECUTE_CONTAINER_SCRIPT: "Unable to execute container script",
    Code.UNABLE_TO_SIGNAL_CONTAINER: "Unable to signal container",
    Code.INVALID_CONTAINER_PID: "Invalid container PID",
    Code.INITIALIZE_USER_FAILED: "Initialize user failed",
    Code.PATH_TO_DELETE_IS_NULL: "Path to delete is null",
    Code.INVALID_CONTAINER_EXEC_PERMISSIONS: "Invalid container-executor permissions",
    Code.INVALID_CONFIG_FILE: "Invalid config file",
    Code.WRITE_PIDFILE_FAILED: "Write to pidfile failed",
    Code.WRITE_CGROUP_FAILED: "Write to cgroup failed",
    Code.DOCKER_RUN_FAILED: "Docker run failed",
    Code.FEATURE_DISABLED: "Feature disabled",
    Code.COULD_NOT_CREATE_SCRIPT_COPY: "Could not create script copy",
    Code.COULD_NOT_CREATE_WORK_DIRECTORIES: "Could not create work dirs",
    Code.COULD_NOT_CREATE_APP_LOG_DIRECTORIES: "Could not create app log dirs",
    Code.INVALID_CONTAINER_ID: "Invalid container id",
    Code.COULD_NOT_CREATE_CREDENTIALS_COPY: "Could not create credential copy",
    Code.INVALID_MOUNT: "Invalid mount",
    Code.INVALID_RO_MOUNT: "Invalid read-only mount",
    Code.INVALID_RW_MOUNT: "Invalid read-write mount",
    Code.MOUNT_ACCESS_ERROR: "Mount access error",
    Code.INVALID_DOCKER_COMMAND_FILE: "Invalid docker command file passed",
    Code.INCORRECT_DOCKER_COMMAND: "Incorrect docker command",
    Code.INVALID_DOCKER_CONTAINER_NAME: "Invalid docker container name",
    Code.INVALID_DOCKER_IMAGE_NAME: "Invalid docker image name",
    Code.INVALID_DOCKER_USER_NAME: "Invalid docker user name",
    Code.INVALID_DOCKER_INSPECT_FORMAT: "Invalid docker inspect format",
    Code.UNKNOWN_DOCKER_COMMAND: "Unknown docker command",
    Code.INVALID_DOCKER_NETWORK: "Invalid docker network",
    Code.INVALID_DOCKER_CAPABILITY: "Invalid docker capability",
    Code.PRIVILEGED_DOCKER_CONTAINERS_DISABLED: "Privileged docker containers are disabled",
    Code.INVALID_DOCKER_DEVICE: "Invalid docker device",
    Code.INVALID_DOCKER_KILL_COMMAND: "Invalid docker kill command",
    Code.DOCKER_PID_HOST_DISABLED: "Docker host pid namespace is disabled",
    Code.INVALID_DOCKER_IMAGE_TRUST: "Docker image is not trusted",
    Code.INVALID_DOCKER_RUNTIME: "Invalid docker runtime",
    Code.SERVICE_MODE_DISABLED: "Service mode disabled",
}


def text(code: int) -> str:
    """What container-executor says of an exit code; a container's own exit codes are unknown to it."""
    return {int(known): words for known, words in _TEXTS.items()}.get(code, "Unknown error code")


class Refusal(Exception):
    """The call ends with `code`; the message goes to standard error, or to standard output (`logged`)."""

    def __init__(self, code: Code, message: str = "", logged: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.logged = logged
