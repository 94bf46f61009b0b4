"""The OS accounts of every node: services, tenants' users and slots, with the same ids everywhere."""

from typing import NamedTuple


class Account(NamedTuple):
    """One line of passwd and, with `group` the same as its name, one of group."""

    name: str
    uid: int
    gid: int
    home: str


HADOOP_GID = 5000
YARN = Account("yarn", 5000, HADOOP_GID, "/var/lib/hadoop-yarn")
HDFS = Account("hdfs", 5010, HADOOP_GID, "/var/lib/hadoop-hdfs")
SERVICES = (YARN, HDFS)

# carol is a user of the cluster whom no tenant of config.toml names.
USERS = (
    Account("alice", 5001, 5001, "/home/alice"),
    Account("bob", 5002, 5002, "/home/bob"),
    Account("carol", 5003, 5003, "/home/carol"),
)
SLOTS = tuple(Account(f"slot{n}", 6000 + n, 6000 + n, "/nonexistent") for n in range(1, 9))


def passwd() -> str:
    """The lines to append to /etc/passwd."""
    shells = {account: "/bin/bash" for account in (*SERVICES, *USERS)}
    return "".join(
        f"{a.name}:x:{a.uid}:{a.gid}::{a.home}:{shells.get(a, '/usr/sbin/nologin')}\n"
        for a in (*SERVICES, *USERS, *SLOTS)
    )


def group() -> str:
    """The lines to append to /etc/group."""
    return f"hadoop:x:{HADOOP_GID}:\n" + "".join(f"{a.name}:x:{a.gid}:\n" for a in (*USERS, *SLOTS))
