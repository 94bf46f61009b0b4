"""What containers that are gone have left on the nodes: nothing, or sentences that say what."""

from __future__ import annotations

import json
import time

from integration.cluster import Cluster
from integration.observe import placements

RUN = "/run/yarn-kata"


def leftovers(cluster: Cluster) -> list[str]:
    """One sentence for each thing that is still there of a YARN container, on any node."""
    found = [f"{place.node}: {place.container} is still known to the runtime" for place in placements(cluster)]
    for node in cluster.nodes:
        found += [f"{node}: {thing}" for thing in (*routes(cluster, node), *mounts(cluster, node))]
        found += [f"{node}: {thing}" for thing in (*records(cluster, node), *processes(cluster, node))]
        found += [f"{node}: Docker container {name}" for name in docker_containers(cluster, node)]
    return found


def wait_until_clean(cluster: Cluster, seconds: float) -> list[str]:
    """Return what is left `seconds` after the last application's end, or as soon as it is nothing."""
    end = time.monotonic() + seconds
    while (left := leftovers(cluster)) and time.monotonic() < end:
        time.sleep(1)
    return left


def routes(cluster: Cluster, node: str) -> list[str]:
    """The elements of the node's routing map; a table that no container needed yet has none."""
    listing = cluster.exec(node, ["nft", "--json", "list", "map", "ip", "yarn_kata", "blocks"], check=False)
    if listing.returncode:
        return []
    maps = [item["map"] for item in json.loads(listing.stdout)["nftables"] if "map" in item]
    return [f"route {element}" for found in maps for element in found.get("elem", [])]


def mounts(cluster: Cluster, node: str) -> list[str]:
    """The mounts below the runtime's own folder: idmapped folders and pinned user namespaces."""
    lines = cluster.exec(node, ["cat", "/proc/self/mountinfo"]).stdout.splitlines()
    return [f"mount {line.split()[4]}" for line in lines if line.split()[4].startswith(f"{RUN}/")]


def records(cluster: Cluster, node: str) -> list[str]:
    """The records of containers, the administrator's own among them."""
    listing = cluster.exec(node, ["find", f"{RUN}/containers", "-mindepth", "1", "-maxdepth", "1"], check=False)
    return [f"record {path}" for path in listing.stdout.splitlines()]


def processes(cluster: Cluster, node: str) -> list[str]:
    """gVisor's sandboxes and gofers."""
    listing = cluster.exec(node, ["pgrep", "--list-full", "runsc"], check=False)
    return [f"process {line}" for line in listing.stdout.splitlines()]


def docker_containers(cluster: Cluster, node: str) -> list[str]:
    """The names of the engine's containers, running or not."""
    return cluster.exec(node, ["docker", "ps", "--all", "--format={{.Names}}"]).stdout.split()
