"""Who may run containers, and acting as somebody for a while."""

import contextlib
import os
import pwd
from collections.abc import Iterator

from integration.container_executor.configuration import Configuration
from integration.container_executor.errors import Code, Refusal

DEFAULT_BANNED = ("yarn", "mapred", "hdfs", "bin")
DEFAULT_MIN_UID = 1000


def checked_user(name: str, configuration: Configuration) -> pwd.struct_passwd:
    """The account of `name`; Refusal for root, banned users, uids below min.user.id and strangers."""

    def refuse(message: str) -> Refusal:
        return Refusal(Code.ERROR, message, logged=True)

    if name == "root":
        raise refuse("Running as root is not allowed")
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        raise refuse(f"User {name} not found") from None
    lowest = int(configuration.value("min.user.id") or DEFAULT_MIN_UID)
    if account.pw_uid < lowest and name not in configuration.values("allowed.system.users"):
        raise refuse(
            f"Requested user {name} is not whitelisted and has id {account.pw_uid},"
            f"which is below the minimum allowed {lowest}"
        )
    if name in (configuration.values("banned.users") or DEFAULT_BANNED):
        raise refuse(f"Requested user {name} is banned")
    return account


@contextlib.contextmanager
def acting_as(uid: int, gid: int) -> Iterator[None]:
    """Effective uid and gid changed for a while; the real ones must be root's."""
    before_uid, before_gid = os.geteuid(), os.getegid()
    _become(uid, gid)
    try:
        yield
    finally:
        _become(before_uid, before_gid)


def enter(account: pwd.struct_passwd) -> None:
    """Take the user's groups and effective ids; root can be taken back."""
    os.initgroups(account.pw_name, account.pw_gid)
    _become(account.pw_uid, account.pw_gid)


def drop(account: pwd.struct_passwd) -> None:
    """Become the user for good."""
    os.seteuid(0)
    os.initgroups(account.pw_name, account.pw_gid)
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)


def _become(uid: int, gid: int) -> None:
    os.seteuid(0)
    os.setegid(gid)
    os.seteuid(uid)
