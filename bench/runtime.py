"""What this runtime costs beside bare runc and nvidia-container-runtime: `python -m bench.runtime`, as root.

All that is compared takes turns within one run, so that noise of the machine meets each alike; figures are
medians.  The last line is one JSON object, ratios to the bare runtime below among it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

from bench import crowd, load, nvidia
from bench.engine import RUNTIMES, Engine
from bench.lives import OURS, PHASES, Contender, interleaved
from bench.meter import Cost, Meter
from bench.node import GVISOR_ARGUMENT, Node, foreign_bundle, yarn_bundle
from integration import gvisor
from tests.harness import RUNC

LIVES = 25
CREATES = 15
DOCKER_RUNS = 15

Lives = Mapping[str, Sequence[Mapping[str, Cost]]]
Runs = Mapping[str, Sequence[Cost]]


def measure_lives() -> Lives:
    """Return name -> lives of a YARN container and of another one through each runtime; gVisor's if it is built."""
    with Node() as node, Meter(node) as meter:
        contenders = [
            Contender("runc", [RUNC], yarn_bundle(node)),
            Contender("yarn-kata-runtime", OURS, yarn_bundle(node)),
            _nvidia(node),
            Contender("runc, not YARN's", [RUNC], foreign_bundle(node)),
            Contender("yarn-kata-runtime, not YARN's", OURS, foreign_bundle(node)),
        ]
        runsc = gvisor.binary()
        if runsc.exists():
            node.sandbox_bob(runsc)
            contenders += [
                Contender("runsc", [str(runsc), GVISOR_ARGUMENT], yarn_bundle(node, "bob")),
                Contender("yarn-kata-runtime on runsc", OURS, yarn_bundle(node, "bob")),
            ]
        return interleaved(meter, contenders, LIVES)


def _nvidia(node: Node) -> Contender:
    bundle = yarn_bundle(node)
    with bundle.changed() as spec:
        nvidia.request_device(spec)
    environment = nvidia.configure(node.scratch / "nvidia")
    contender = Contender("nvidia-container-runtime", [str(nvidia.binary())], bundle, environment)
    with Meter(node) as meter:
        contender.live(meter)
    if not nvidia.is_rewritten(bundle.spec):
        raise AssertionError("nvidia-container-runtime left the spec as it was; compare with one that rewrites")
    return contender


def measure_docker() -> Runs:
    """Return name -> `docker run --rm` with each runtime, of a YARN container and of another one."""
    with Node() as node, Engine(node) as engine, Meter(node) as meter:
        kinds = {"YARN's": engine.yarn, "not YARN's": engine.foreign}
        runs: dict[str, list[Cost]] = {f"{runtime}, {kind}": [] for runtime in RUNTIMES for kind in kinds}
        for number in range(DOCKER_RUNS + 1):
            for kind, run in kinds.items():
                for runtime in RUNTIMES:
                    cost = run(meter, runtime)
                    if number:
                        runs[f"{runtime}, {kind}"].append(cost)
        return runs


def middle(costs: Iterable[Cost]) -> Cost:
    """Return the medians of CPU and of wall time."""
    known = list(costs)
    return Cost(median(cost.cpu for cost in known), median(cost.wall for cost in known))


def lives_table(lives: Lives) -> Table:
    """Return a row a runtime: CPU of each phase, CPU and wall of all, and the ratio to the runtime below."""
    table = Table(title=f"a container's life, CPU ms (medians of {LIVES})", title_justify="left")
    for heading in ("", *PHASES, "all", "x bare", "wall"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for name, costs in lives.items():
        total, bare = (middle(life["all"] for life in lives[of]) for of in (name, _bare(name)))
        phases = [f"{middle(life[phase] for life in costs).cpu:.1f}" for phase in PHASES]
        table.add_row(name, *phases, f"{total.cpu:.1f}", f"{total.cpu / bare.cpu:.2f}", f"{total.wall:.1f}")
    return table


def _bare(name: str) -> str:
    """Return the runtime below that a row is compared with."""
    return next((bare for bare in ("runc, not YARN's", "runsc") if name.endswith(bare.removeprefix("runc, "))), "runc")


def runs_table(title: str, runs: Runs) -> Table:
    """Return a row of CPU and wall a kind of run."""
    table = Table("", title=title, title_justify="left")
    table.add_column("CPU", justify="right")
    table.add_column("wall", justify="right")
    for name, costs in runs.items():
        table.add_row(name, f"{middle(costs).cpu:.1f}", f"{middle(costs).wall:.1f}")
    return table


def summary(lives: Lives, docker: Runs, crowded: Runs) -> dict[str, float]:
    """Return the ratios that stand in the last line."""
    total = {name: middle(life["all"] for life in costs) for name, costs in lives.items()}
    ours, bare, wrapper = (total[name] for name in ("yarn-kata-runtime", "runc", "nvidia-container-runtime"))
    strange, strange_bare = total["yarn-kata-runtime, not YARN's"], total["runc, not YARN's"]
    run = {name: middle(costs) for name, costs in docker.items()}
    empty, full = (middle(crowded[name]) for name in ("empty", "full"))
    ratios = {
        "cpu_vs_runc": ours.cpu / bare.cpu,
        "cpu_vs_nvidia": ours.cpu / wrapper.cpu,
        "wall_vs_runc": ours.wall / bare.wall,
        "wall_vs_nvidia": ours.wall / wrapper.wall,
        "foreign_cpu_vs_runc": strange.cpu / strange_bare.cpu,
        "docker_run_vs_bare": run["yarn-kata, not YARN's"].wall / run["runc, not YARN's"].wall,
        "docker_run_cpu_vs_bare": run["yarn-kata, not YARN's"].cpu / run["runc, not YARN's"].cpu,
        "docker_run_yarn_vs_bare": run["yarn-kata, YARN's"].wall / run["runc, YARN's"].wall,
        "docker_run_yarn_cpu_vs_bare": run["yarn-kata, YARN's"].cpu / run["runc, YARN's"].cpu,
        "create_1000_vs_empty": full.cpu / empty.cpu,
    }
    if "runsc" in total:
        ratios["cpu_vs_runsc"] = total["yarn-kata-runtime on runsc"].cpu / total["runsc"].cpu
    return {name: round(ratio, 3) for name, ratio in ratios.items()}


def main() -> None:
    """Measure, and print tables and the summary."""
    console = Console(width=120)
    lives = measure_lives()
    console.print(lives_table(lives))
    if "runsc" not in lives:
        console.print(f"without gVisor: {gvisor.binary()} is not there, `make demo` builds it")
    docker = measure_docker()
    console.print(runs_table(f"docker run --rm, ms (medians of {DOCKER_RUNS})", docker))
    crowded = dict(zip(("empty", "full"), crowd.creates(CREATES), strict=True))
    console.print(runs_table(f"create with {crowd.CONTAINERS} live containers, ms (medians of {CREATES})", crowded))
    errors = load.parallel_errors()
    for error in errors:
        console.print(error)
    figures = summary(lives, docker, crowded)
    figures["resident_kib"] = round(load.resident_kib(), 1)
    figures["parallel_errors"] = len(errors)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
