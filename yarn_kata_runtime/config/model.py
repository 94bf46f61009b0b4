"""/etc/yarn-kata/config.toml: every option, its default and what it means.

The model knows the shape and what an option may be by itself; `config.compile` resolves names against
the node.  docs/configuration.md is generated from the descriptions here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

DEFAULT_CAPABILITIES = [  # what Docker's and YARN's own defaults give a container
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
]
FIRST_UNPRIVILEGED_PORT = 1024
LAST_PORT = 65535


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError(f"{text!r} holds a NUL character; no path or argument may")
    return text


def _absolute(path: str) -> str:
    if not path.startswith("/") or "/../" in f"{path}/" or "//" in path or path == "/":
        raise ValueError(f"{path!r} is no absolute path below / without '..' and '//'")
    return _text(path).rstrip("/")


def _capability(name: str) -> str:
    if not name.startswith("CAP_") or not name.isupper():
        raise ValueError(f"{name!r} is no capability; write it as in CAP_CHOWN")
    return name


Text = Annotated[str, AfterValidator(_text)]
AbsolutePath = Annotated[str, AfterValidator(_absolute)]
Capability = Annotated[str, AfterValidator(_capability)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Node(_Model):
    """What this node is called and where its NodeManager keeps things."""

    local_dirs: list[AbsolutePath] = Field(min_length=1, description="yarn.nodemanager.local-dirs")
    log_dirs: list[AbsolutePath] = Field(min_length=1, description="yarn.nodemanager.log-dirs")
    yarn_user: Text = Field("yarn", description="account that the NodeManager runs as")
    yarn_group: Text = Field("hadoop", description="yarn.nodemanager.linux-container-executor.group")
    nonsecure_user: Text = Field(
        "",
        description="account that all containers are run as in non-secure mode "
        "(yarn.nodemanager.linux-container-executor.nonsecure-mode.local-user); empty where each user has an own one",
    )
    hostname: Text = Field(
        "", description="name under which other nodes reach this one; empty = as the NodeManager calls itself"
    )
    share_hosts: bool = Field(True, description="append the node's /etc/hosts to the containers'")


class RuntimeClass(_Model):
    """A sandbox that tenants can be given, and what their containers may ask of it."""

    driver: Literal["oci"] = Field("oci", description="how the runtime is driven: oci = by its OCI command line")
    path: AbsolutePath = Field(description="the runtime, such as /usr/local/bin/runsc")
    args: list[Text] = Field([], description="its own global arguments, put before the caller's")
    ports: Literal["auto", "sysctl", "init"] = Field(
        "auto",
        description="who narrows the port range inside: sysctl = the runtime, from the spec; init = a first process "
        "of ours, for runtimes that ignore sysctls; auto = init for runsc, else sysctl",
    )
    networks: list[Literal["bridge", "host"]] = Field(["bridge"], description="networks a container may ask for")
    mounts_ro: list[AbsolutePath] = Field(
        ["/etc/passwd", "/etc/group"], description="sources, and all below them, that may be mounted read-only"
    )
    mounts_rw: list[AbsolutePath] = Field([], description="sources, and all below them, that may be mounted writable")
    capabilities: list[Capability] = Field(DEFAULT_CAPABILITIES, description="capabilities a container may have")
    devices: bool = Field(False, description="whether a container may have devices of the node")
    no_new_privileges: bool = Field(True, description="whether setuid programs of the image are without effect")
    kill_grace: float = Field(
        1.0, ge=0, le=300, description="seconds between a SIGTERM and the SIGKILL that follows it; 0 = none follows"
    )
    pids: int = Field(0, ge=0, description="most processes of a container; 0 = as the engine says")
    open_files: int = Field(0, ge=0, description="RLIMIT_NOFILE of a container; 0 = as the engine says")


class Tenant(_Model):
    """Whose containers run where; the first tenant that a user fits counts."""

    users: list[Text] = Field(min_length=1, description="YARN users, by name or pattern (* and ?)")
    name: Text = Field("", description="the tenant; empty = each user is a tenant of its own")
    runtime_class: str = Field(alias="class", description="the class its containers run in")
    max_containers: int = Field(0, ge=0, description="most containers at a time on this node; 0 = no limit")


class Slots(_Model):
    """OS accounts that tenants borrow on this node."""

    mode: Literal["on", "off"] = Field("on", description="off = containers run as the users that YARN names")
    accounts: list[Name] = Field([], description="the accounts, each with an own group of the same name")

    @model_validator(mode="after")
    def _enough(self) -> Slots:
        if self.mode == "on" and not self.accounts:
            raise ValueError("slots.mode is 'on' but slots.accounts names none; name some or set mode = 'off'")
        if len(set(self.accounts)) != len(self.accounts):
            raise ValueError("slots.accounts names an account twice; no two slots may be one account")
        return self


class Ports(_Model):
    """The node's ports that are dealt out to containers, in blocks."""

    mode: Literal["on", "off"] = Field("on", description="off = no port blocks and no routes")
    pool: str = Field(
        "16384-32767",
        pattern=r"^[0-9]{1,5}-[0-9]{1,5}$",
        description="first and last port; keep it clear of net.ipv4.ip_local_port_range",
    )
    block: int = Field(256, ge=16, le=8192, description="ports of a container, a power of two")

    @property
    def first(self) -> int:
        """First port of the pool."""
        return int(self.pool.partition("-")[0])

    @property
    def last(self) -> int:
        """Last port of the pool."""
        return int(self.pool.partition("-")[2])

    @model_validator(mode="after")
    def _aligned(self) -> Ports:
        if self.block & (self.block - 1):
            raise ValueError(f"ports.block is {self.block}; it must be a power of two, such as 256")
        if not FIRST_UNPRIVILEGED_PORT <= self.first < self.last <= LAST_PORT:
            raise ValueError(f"ports.pool is {self.pool}; it must lie within {FIRST_UNPRIVILEGED_PORT}-{LAST_PORT}")
        if self.first % self.block or (self.last + 1) % self.block:
            raise ValueError(f"ports.pool {self.pool} does not begin and end on a multiple of {self.block} ports")
        return self


class Config(_Model):
    """The whole file."""

    node: Node
    classes: dict[Name, RuntimeClass] = Field(min_length=1)
    foreign: str = Field("runc", description="class of containers that are not YARN's; they pass unchanged")
    tenants: list[Tenant] = Field(min_length=1)
    slots: Slots
    ports: Ports = Ports()  # type: ignore[call-arg]

    @model_validator(mode="after")
    def _classes_exist(self) -> Config:
        named = [("foreign", self.foreign)]
        named += [(f"tenants[{i}].class", tenant.runtime_class) for i, tenant in enumerate(self.tenants)]
        for where, name in named:
            if name not in self.classes:
                raise ValueError(
                    f"{where} is {name!r}, but there is no [classes.{name}]; there are {', '.join(self.classes)}"
                )
        return self
