"""Many launches at a time, and what stays in memory while containers run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.node import EXITS, Node
from tests.harness import Bundle

LAUNCHES = 64
PARALLEL = 8
RESIDENTS = 8


def parallel_errors() -> list[str]:
    """Launch 64 containers of two tenants, eight at a time, through all of their lives; return what went wrong."""
    with Node() as node, ThreadPoolExecutor(PARALLEL) as pool:
        bundles = [_bundle(node, number) for number in range(LAUNCHES)]
        addresses = (f"10.88.1.{number + 2}" for number in range(LAUNCHES))
        errors = [error for error in pool.map(_launch, bundles, addresses) if error]
        left = node.listed("containers")
        return [*errors, *(f"{row['container']} is still in the store" for row in left)]


def _bundle(node: Node, number: int) -> Bundle:
    user = ("alice", "bob")[number % 2]
    return node.yarn_bundle(user=user, application=number % 2 + 1, container=number + 2, command=EXITS)


def _launch(bundle: Bundle, address: str) -> str | None:
    try:
        bundle.launch(address)
        bundle.wait_stopped()
        bundle.delete()
        bundle.delete("--force")
    except (AssertionError, OSError) as error:
        return str(error)
    return None


def resident_kib() -> float:
    """Return the KiB of memory of processes of ours per running container."""
    with Node() as node:
        before = set(_of_node(node))
        bundles = [node.yarn_bundle(container=number + 2) for number in range(RESIDENTS)]
        for number, bundle in enumerate(bundles):
            bundle.launch(f"10.88.1.{number + 2}")
        stayed = set(_of_node(node)) - before
        return sum(_resident_kib(pid) for pid in stayed) / RESIDENTS


def _of_node(node: Node) -> Iterator[int]:
    """Yield the processes in the node's own mount namespace; those of containers are in theirs."""
    own = node.run(["readlink", "/proc/self/ns/mnt"]).stdout.strip()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.readlink(entry / "ns" / "mnt") == own:
                yield int(entry.name)
        except OSError:  # it has ended meanwhile
            continue


def _resident_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)
