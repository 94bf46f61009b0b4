"""The administrator's configuration as the OCI verbs read it: plain JSON, every name resolved.

`config.compile` writes it, `runtime.policy` reads it.  At run time these are plain dicts; the types
exist for the type checker only, so that no verb pays for `typing`.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, TypedDict

    Network = Literal["bridge", "host", "none"]

    class Slot(TypedDict):
        """One OS account that a tenant borrows."""

        account: str
        uid: int
        gid: int

    class Node(TypedDict):
        """What the hot path must know of this node; folders are absolute and without a trailing slash."""

        hostname: str  # "" = the NM_HOST of the launch script
        local_dirs: list[str]
        log_dirs: list[str]
        nm_uid: int
        nm_gid: int  # the group that owns the NodeManager's folders
        nonsecure_uid: int  # -1 = every YARN user has an OS account of its own
        share_hosts: bool  # append the node's /etc/hosts to the containers'

    class RuntimeClass(TypedDict):
        """What a class runs and what a spec may ask of it."""

        name: str
        driver: Literal["oci"]
        argv: list[str]  # the runtime below and its own global arguments
        ports: Literal["sysctl", "init"]  # who narrows the container's port range
        networks: list[Network]
        mounts_ro: list[str]  # sources (and what is below them) that may be mounted read-only
        mounts_rw: list[str]
        capabilities: list[str]
        devices: bool
        no_new_privileges: bool
        kill_grace_ms: int  # between SIGTERM and our SIGKILL; 0 = never
        pids: int  # linux.resources.pids.limit; 0 = as the caller says
        open_files: int  # RLIMIT_NOFILE; 0 = as the caller says

    class Tenant(TypedDict):
        """Who belongs to it and what it gets; name "" = each matching user is a tenant of its own."""

        name: str
        users: list[str]  # names or globs (* and ?)
        runtime_class: str
        max_containers: int  # on this node; 0 = no limit

    class Slots(TypedDict):
        mode: Literal["on", "off"]
        accounts: list[Slot]

    class Ports(TypedDict):
        """The pool [first, last], cut into aligned blocks of `block` (a power of two) ports."""

        mode: Literal["on", "off"]
        first: int
        last: int
        block: int

    class Policy(TypedDict):
        node: Node
        foreign: RuntimeClass
        classes: dict[str, RuntimeClass]
        tenants: list[Tenant]  # the first that matches counts
        slots: Slots
        ports: Ports

    class Compiled(TypedDict):
        """The file itself: `error` says why containers are refused, otherwise `policy` is there."""

        stamp: str  # of the files it was made from, see runtime.policy.stamp
        error: str | None
        policy: Policy | None
