"""The node that benchmarks run in, and what its containers are."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from tests.harness import CONFIG, GOLDEN, Bundle, PrivateNode

FIRST_PORT, LAST_PORT, BLOCK = 16384, 65535, 32  # room for 1,536 containers
ADDRESS = "10.88.0.5"
EXITS = ("/bin/busybox", "true")

_GVISOR = """
[classes.gvisor]
path = "{path}"
args = ["{argument}"]
mounts_ro = ["/etc/passwd", "/etc/group", "/etc/hadoop", "/opt"]
mounts_rw = ["/srv/yarn"]

[[tenants]]
users = ["bob"]
class = "gvisor"

[[tenants]]
"""
GVISOR_ARGUMENT = "--platform=systrap"

_PORTS = ('pool = "16384-17407"\nblock = 256', f'pool = "{FIRST_PORT}-{LAST_PORT}"\nblock = {BLOCK}')


class Node(PrivateNode):
    """A private node with room for a thousand port blocks, and its bundles in memory, as containerd has them."""

    def __init__(self) -> None:
        super().__init__()
        self._memory = Path(tempfile.mkdtemp(prefix="ykr-bench-", dir="/dev/shm"))

    def __enter__(self) -> Node:
        super().__enter__()
        bundles = self.scratch / "bundles"
        bundles.rmdir()
        bundles.symlink_to(self._memory)
        self.configure(CONFIG.replace(*_PORTS))
        return self

    def sandbox_bob(self, runsc: Path) -> None:
        """Let bob's containers run in gVisor; alice's stay in runc."""
        text = _GVISOR.format(path=runsc, argument=GVISOR_ARGUMENT)
        self.configure(CONFIG.replace(*_PORTS).replace("\n[[tenants]]\n", text))

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        shutil.rmtree(self._memory)


def yarn_bundle(node: PrivateNode, user: str = "alice") -> Bundle:
    """Make a YARN container whose process ends at once."""
    return _as_docker_makes_it(node.yarn_bundle(user=user, command=EXITS))


def foreign_bundle(node: PrivateNode) -> Bundle:
    """Make a container that nothing connects with YARN, and whose process ends at once."""
    return _as_docker_makes_it(node.foreign_bundle(command=EXITS))


def _as_docker_makes_it(bundle: Bundle) -> Bundle:
    """Give the bundle Docker's own seccomp profile: a good part of what there is to read, and of runc's work."""
    recorded = json.loads((GOLDEN / "ds-bridge.json").read_text())
    with bundle.changed() as spec:
        spec["linux"]["seccomp"] = recorded["linux"]["seccomp"]
    return bundle
