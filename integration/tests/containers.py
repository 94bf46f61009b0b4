"""Single containers of a tenant's, started through YARN and looked at while they run."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping

from integration.applications import Application, Applications
from integration.cluster import Cluster
from integration.observe import Placement, placements
from integration.shell import ClusterError, wait_for

START_SECONDS = 60
END_SECONDS = 60
READY = "ready"
HEARTBEAT_SECONDS = 0.5
_TRIES = 20
WAITING = "while true; do sleep 1; done"


class Containers:
    """Starts applications of one container each and finds their containers on the nodes."""

    def __init__(self, cluster: Cluster, applications: Applications) -> None:
        self._cluster = cluster
        self._applications = applications

    def start(self, user: str, command: str, environment: Mapping[str, str] | None = None) -> Placement:
        """Run `command` as `user`; return where the container is once the command has begun."""
        application = self._applications.run(user, f"echo {READY}; {command}", environment)
        wait_for(
            f"the start of {application}",
            lambda: self._has_begun(application),
            timeout=START_SECONDS,
            interval=0.5,
        )
        return self.find(application)

    def start_on_each_node(self, user: str, command: str) -> list[Placement]:
        """Run `command` as `user` once on each node; return where the containers are.

        YARN takes the node whose heartbeat comes first, so each try comes at another time between two.
        """
        found: dict[str, Placement] = {}
        for _ in range(_TRIES):
            place = self.start(user, command)
            if place.node in found:
                self.kill(place)
                time.sleep(random.uniform(0, HEARTBEAT_SECONDS))
            found.setdefault(place.node, place)
            if len(found) == len(self._cluster.nodes):
                return list(found.values())
        for place in found.values():
            self.kill(place)
        raise ClusterError(f"{_TRIES} containers of {user} have all run on {', '.join(found)}")

    def _has_begun(self, application: str) -> bool:
        now = self._applications.get(application)
        if now.ended:
            raise ClusterError(f"{application} ended as {now.state} before it began: {now.diagnostics}")
        return any(
            READY in self.log(place, "stdout").split()
            for place in placements(self._cluster)
            if place.application == application
        )

    def find(self, application: str) -> Placement:
        """The application's one live container."""
        (place,) = [place for place in placements(self._cluster) if place.application == application]
        return place

    def finish(self, user: str, command: str, environment: Mapping[str, str] | None = None) -> Application:
        """Run `command` as `user` to its end."""
        application = self._applications.run(user, command, environment)
        return self._applications.wait(application, START_SECONDS + END_SECONDS)

    def log(self, place: Placement, name: str) -> str:
        """What a running container has written to a log file of its own, "" if nothing yet."""
        path = f"{self._cluster.log_dir}/{place.application}/{place.container}/{name}"
        return self._cluster.exec(place.node, ["cat", path], check=False).stdout

    def inside(self, place: Placement, *argv: str) -> str:
        """What a program prints that `docker exec` runs in the container, with no user named."""
        return self._cluster.exec(place.node, ["docker", "exec", place.container, *argv]).stdout.strip()

    def kill(self, place: Placement) -> Application:
        """Kill the container's application as its user; return it when it has ended on the cluster and node."""
        self._applications.kill(place.application, place.user)
        ended = self._applications.wait(place.application, END_SECONDS)
        self.wait_gone(place)
        return ended

    def wait_gone(self, place: Placement) -> None:
        """Wait until neither the runtime nor Docker knows the container."""
        wait_for(f"the end of {place.container}", self._gone(place), timeout=END_SECONDS, interval=0.5)

    def _gone(self, place: Placement) -> Callable[[], bool]:
        def gone() -> bool:
            known = {other.container for other in placements(self._cluster)}
            names = self._cluster.exec(place.node, ["docker", "ps", "--all", "--format={{.Names}}"]).stdout.split()
            return place.container not in known and place.container not in names

        return gone
