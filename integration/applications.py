"""YARN applications through the ResourceManager's REST API, without a JVM on this side.

In non-secure mode the API takes the user from `user.name`, as every Hadoop client's claim is taken.
Source: Hadoop's ResourceManagerRest documentation, "Cluster Applications API".
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from integration.shell import ClusterError, wait_for

ENDED = frozenset({"FINISHED", "FAILED", "KILLED"})
_POLL_SECONDS = 0.5
_REQUEST_SECONDS = 30


@dataclass(frozen=True)
class Application:
    """What the ResourceManager says of an application at one moment."""

    id: str
    user: str
    name: str
    state: str
    final_status: str
    diagnostics: str
    log_aggregation: str  # SUCCEEDED once `yarn logs` has everything

    @property
    def ended(self) -> bool:
        return self.state in ENDED


class Applications:
    """The applications of the cluster whose ResourceManager answers at `base`, http://host:port."""

    def __init__(self, base: str) -> None:
        self._api = f"{base}/ws/v1/cluster"

    def run(
        self,
        user: str,
        command: str,
        environment: Mapping[str, str] | None = None,
        memory_mb: int = 256,
        vcores: int = 1,
    ) -> str:
        """Submit an application that is one container running `command`; return its id.

        The container is the application master's, but never registers: when it ends, however well, the
        application ends as FAILED with the container's exit code and diagnostics.  `command` stands between
        double quotes in YARN's launch script: no double quotes in it, and $ is the shell's.
        """
        application = str(self._call("POST", "apps/new-application", user)["application-id"])
        entries = [{"key": key, "value": value} for key, value in (environment or {}).items()]
        submission = {
            "application-id": application,
            "application-name": "container",
            "am-container-spec": {
                "commands": {"command": f"{{ {command}; }} 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr"},
                "environment": {"entry": entries},
            },
            "max-app-attempts": 1,
            "resource": {"memory": memory_mb, "vCores": vcores},
        }
        self._call("POST", "apps", user, submission)
        return application

    def get(self, application: str) -> Application:
        """Return what the ResourceManager says of `application` now."""
        said = self._call("GET", f"apps/{application}")["app"]
        return Application(
            id=said["id"],
            user=said["user"],
            name=said["name"],
            state=said["state"],
            final_status=said["finalStatus"],
            diagnostics=said["diagnostics"],
            log_aggregation=said["logAggregationStatus"],
        )

    def kill(self, application: str, user: str) -> None:
        """Ask for the application's end, as `yarn application -kill` does."""
        self._call("PUT", f"apps/{application}/state", user, {"state": "KILLED"})

    def wait(self, application: str, seconds: float) -> Application:
        """Return the application when it has ended; ClusterError after `seconds`."""
        end = time.monotonic() + seconds
        while not (now := self.get(application)).ended:
            if time.monotonic() > end:
                raise ClusterError(f"{application} is {now.state} after {seconds:.0f} s: {now.diagnostics.strip()}")
            time.sleep(_POLL_SECONDS)
        return now

    def wait_logs(self, application: str, seconds: float) -> None:
        """Wait until an ended application's logs are all in HDFS; ClusterError after `seconds`."""
        wait_for(
            f"the aggregation of {application}'s logs",
            lambda: self.get(application).log_aggregation == "SUCCEEDED",
            timeout=seconds,
            interval=_POLL_SECONDS,
        )

    def _call(self, method: str, path: str, user: str = "", body: object = None) -> Any:
        """One request; a ClusterError carries the ResourceManager's own words."""
        query = f"?user.name={user}" if user else ""
        request = urllib.request.Request(
            f"{self._api}/{path}{query}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=_REQUEST_SECONDS) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            raise ClusterError(f"{method} {path}: {error}: {error.read().decode(errors='replace')}") from error
        except OSError as error:
            raise ClusterError(f"no answer of the ResourceManager at {self._api}: {error}") from error
        return json.loads(text) if text else None
