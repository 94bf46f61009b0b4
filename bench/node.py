"""The node that benchmarks run in, and what its containers are."""

from __future__ import annotations

from typing import Any

from tests.harness import CONFIG, Bundle, PrivateNode

BLOCK = 32
LAST_PORT = 65535
FIRST_PORT = 16384
EXITS = ("/bin/busybox", "true")
ADDRESS = "10.88.0.5"

# room for 1,000 containers and more: 1,536 blocks
_PORTS = ('pool = "16384-17407"\nblock = 256', f'pool = "{FIRST_PORT}-{LAST_PORT}"\nblock = {BLOCK}')


class Node(PrivateNode):
    """A private node with room for a thousand port blocks."""

    def __enter__(self) -> Node:
        super().__enter__()
        self.configure(CONFIG.replace(*_PORTS))
        return self


def foreign_bundle(node: PrivateNode) -> Bundle:
    """Make a container that nothing connects with YARN."""
    bundle = node.yarn_bundle(name="stranger", command=EXITS)
    bundle.spec = foreign(bundle.spec)
    return bundle


def foreign(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the spec without what is YARN's."""
    mounts = [mount for mount in spec["mounts"] if not mount["source"].startswith("/var/lib/hadoop-yarn")]
    process = {**spec["process"], "args": list(EXITS), "cwd": "/"}
    return {**spec, "mounts": mounts, "process": process}
