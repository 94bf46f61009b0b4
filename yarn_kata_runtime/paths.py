"""Where things are on a node.  Fixed on purpose: root's files do not move by environment or option."""

CONFIG = "/etc/yarn-kata/config.toml"
RUN = "/run/yarn-kata"  # dies with the boot, as the containers do


def policy() -> str:
    """Return the compiled configuration's path."""
    return f"{RUN}/policy.json"


def store() -> str:
    """Return the path of the node's SQLite file."""
    return f"{RUN}/state.db"


def containers() -> str:
    """Return the folder of the containers' records."""
    return f"{RUN}/containers"


def namespaces() -> str:
    """Return the folder in which user namespaces are pinned."""
    return f"{RUN}/userns"


def foreign() -> str:
    """Return the path of the record for containers that have none of their own."""
    return f"{RUN}/foreign"
