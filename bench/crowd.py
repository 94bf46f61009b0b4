"""A node with a thousand live containers, beside an empty one."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bench.lives import OURS, Contender
from bench.meter import Cost, Meter
from bench.node import BLOCK, FIRST_PORT, Node, yarn_bundle
from tests.harness import REPO
from yarn_kata_runtime import paths
from yarn_kata_runtime.node.store import Store

CONTAINERS = 1000
TENANTS = 2  # each in a slot, so that one of the harness's three is free for the container that is measured


def rows(count: int) -> list[list[object]]:
    """Return that many rows in the order of the store's columns, each with a block and an address."""
    made: list[list[object]] = []
    for number in range(count):
        tenant = f"team-{number % TENANTS}"
        oci_id, container = f"{number + 1:064d}", f"container_1795190376517_0009_01_{number + 1:06d}"
        first = FIRST_PORT + BLOCK * (number + 1)
        whose = [f"{oci_id}@0000000000000000", oci_id, container, "application_1795190376517_0009", tenant, tenant]
        slot = [f"slot{number % TENANTS + 2}", 6002 + number % TENANTS, 6002 + number % TENANTS]
        address = f"10.89.{number // 250}.{number % 250 + 2}"
        made.append([*whose, "plain", "/nowhere", "", *slot, first, first + BLOCK - 1, address, float(number)])
    return made


def fill(count: int) -> None:
    """Put the rows into the store of the node that this process runs in."""
    with Store(paths.store()) as store:
        for row in rows(count):
            store.insert(row)


def creates(rounds: int) -> tuple[Sequence[Cost], Sequence[Cost]]:
    """Return what lives of one container cost on an empty node and on one with 1,000 containers and routes."""
    with Node() as empty, Node() as full, Meter(empty) as empty_meter, Meter(full) as full_meter:
        pair = [(_contender(node), meter) for node, meter in ((empty, empty_meter), (full, full_meter))]
        for contender, meter in pair:
            contender.live(meter)
        # the table is made with the routes of all rows
        full.run([sys.executable, "-m", "bench.crowd"], cwd=str(REPO))
        full.run(["nft", "delete", "table", "ip", "yarn_kata"])
        costs: tuple[list[Cost], list[Cost]] = ([], [])
        for number in range(rounds + 1):
            for (contender, meter), found in zip(pair, costs, strict=True):
                cost = contender.live(meter)["create"]
                if number:
                    found.append(cost)
        held = full.listed("routes")
        assert len(held) == CONTAINERS, f"the full node lists {len(held)} routes"
    return costs


def _contender(node: Node) -> Contender:
    return Contender("ours", OURS, yarn_bundle(node))


if __name__ == "__main__":
    fill(CONTAINERS)
