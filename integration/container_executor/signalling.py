"""Command 2: a signal to a process group, as the user."""

import os
import pwd

from integration.container_executor.errors import Code
from integration.container_executor.users import drop


def signal_container(user: pwd.struct_passwd, pid: int, number: int) -> int:
    """A group that is gone and one that is not the user's (a sandbox's) get the same answer."""
    if pid <= 0:
        return Code.INVALID_CONTAINER_PID
    drop(user)
    try:
        os.kill(-pid, 0)
    except OSError:
        print(f"Error signalling not exist process group {pid} with signal {number}")
        return Code.INVALID_CONTAINER_PID
    try:
        os.kill(-pid, number)
    except ProcessLookupError:
        return Code.INVALID_CONTAINER_PID
    except OSError as error:
        print(f"Error signalling process group {-pid} with signal {number} - {error.strerror}")
        return Code.UNABLE_TO_SIGNAL_CONTAINER
    print(f"Killing process group {pid} with {number}")
    return 0
