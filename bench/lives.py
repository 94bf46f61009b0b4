"""The life of a container as an engine lives it: create, network, start, the process ends, delete, delete --force.

What is counted are the verbs and the container's own first process (which is the runtime's until its last
exec); attaching the network, the engine's part, is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.meter import NOTHING, Cost, Meter
from bench.node import ADDRESS
from tests.harness import LAUNCHER, ROOT, Bundle

OURS = [str(LAUNCHER)]
PHASES = ("create", "start", "init", "delete", "delete --force")


class Contender:
    """A runtime with its own arguments, the bundle of its container, and the environment that it needs."""

    def __init__(
        self, name: str, runtime: Sequence[str], bundle: Bundle, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.bundle = bundle
        self._runtime = runtime
        self._environment = dict(environment or {})
        self._original = bundle.config.read_bytes()

    def live(self, meter: Meter) -> dict[str, Cost]:
        """Live one life and return phase -> cost, "all" among them."""
        bundle, costs = self.bundle, dict.fromkeys(PHASES, NOTHING)
        self.reset()
        try:
            costs["create"] = self.verb(meter, "create", "--pid-file", str(bundle.pid_file), "--bundle", ".")
            bundle.attach(ADDRESS)
            costs["start"] = self.verb(meter, "start")
            costs["init"] = Cost(meter.reap().cpu, 0.0)
            costs["delete"] = self.verb(meter, "delete")
        finally:
            costs["delete --force"] = self.verb(meter, "delete", "--force")
        return {**costs, "all": sum(costs.values(), NOTHING)}

    def reset(self) -> None:
        """Put the spec back as the engine wrote it: a runtime may have rewritten it."""
        self.bundle.config.write_bytes(self._original)

    def verb(self, meter: Meter, verb: str, *options: str) -> Cost:
        """Run one verb as containerd's shim does."""
        return meter.run(self._argv(verb, options), self._environment, str(self.bundle.path))

    def _argv(self, verb: str, options: Sequence[str]) -> list[str]:
        log = self.bundle.path / "log.json"
        common = ["--root", ROOT, "--log", str(log), "--log-format", "json"]
        return [*self._runtime, *common, verb, *options, self.bundle.id]


def interleaved(meter: Meter, contenders: Sequence[Contender], rounds: int) -> dict[str, list[dict[str, Cost]]]:
    """Let each contender live once a round; return name -> its lives, without those of a first round."""
    lives: dict[str, list[dict[str, Cost]]] = {contender.name: [] for contender in contenders}
    for number in range(rounds + 1):
        for contender in contenders:
            life = contender.live(meter)
            if number:
                lives[contender.name].append(life)
    return lives
