"""What the nodes' runtimes say of the live containers, asked while jobs run."""

from __future__ import annotations

import json
from dataclasses import dataclass

from integration.cluster import Cluster


@dataclass(frozen=True)
class Placement:
    """One row of `yarn-kata-runtime containers --json`, and the node that it is from."""

    node: str
    id: str  # the engine's
    container: str
    application: str
    tenant: str
    user: str
    runtime_class: str
    slot: str
    uid: int
    ports: tuple[int, int]  # first and last of the block
    address: str


def placements(cluster: Cluster) -> list[Placement]:
    """Every live YARN container of every node, as its runtime knows it."""
    found = []
    for node in cluster.nodes:
        listing = cluster.exec(node, ["yarn-kata-runtime", "containers", "--json"]).stdout
        for row in json.loads(listing):
            first, last = row["ports"]
            found.append(
                Placement(
                    node=node,
                    id=row["id"],
                    container=row["container"],
                    application=row["application"],
                    tenant=row["tenant"],
                    user=row["user"],
                    runtime_class=row["class"],
                    slot=row["slot"],
                    uid=row["uid"],
                    ports=(first, last),
                    address=row["address"] or "",
                )
            )
    return found
