"""Runtimes below that write down how they are called."""

from __future__ import annotations

from tests.harness import CONFIG, RUNC, PrivateNode

# A runtime must lie where root alone decides, which /opt of the node is.
_SCRIPT = """#!/bin/sh
echo "$*" >> {calls}
{before}
exec {runc} "$@"
"""


class RecordingRuntime:
    """runc behind a script; `before` are lines of sh that come first."""

    def __init__(self, node: PrivateNode, name: str, before: str = "") -> None:
        self.path = f"/opt/{name}/runtime"
        self._calls = node.path(f"/opt/{name}/calls")
        file = node.path(self.path)
        file.parent.mkdir(exist_ok=True)
        file.write_text(_SCRIPT.format(calls=f"/opt/{name}/calls", before=before, runc=RUNC))
        file.chmod(0o755)
        self._calls.unlink(missing_ok=True)

    def calls(self) -> list[str]:
        """Return the arguments of each call so far."""
        return self._calls.read_text().splitlines() if self._calls.exists() else []

    def verbs(self) -> list[str]:
        """Return the verb of each call so far: the word behind the global options."""
        return [line.split("--log-format json ", 1)[1].split()[0] for line in self.calls()]

    def config(self) -> str:
        """Return the usual configuration with this runtime in every class."""
        return CONFIG.replace(RUNC, self.path)
