"""The ways side by side: every scenario in turn, every way in turn within each round."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from kits import hasher
from kits.generators import LONGEST_WAIT, Run
from kits.load import costs as meters
from kits.load import scenarios
from kits.load.costs import Cost
from kits.load.scenarios import EXISTING, SCENARIOS, Scenario
from kits.load.testbed import WAYS, WORKERS, Arena, Entrant, Way

Say = Callable[[str], None]

OVERLOAD, OVERLOAD_SECONDS = 10, 20.0
SPARE = 200  # descriptors, for all but connections


@dataclass(frozen=True)
class Result:
    """What one way did in one scenario, over all rounds."""

    way: Way
    scenario: Scenario
    runs: Sequence[Run]
    costs: Sequence[Cost]  # of each round
    dead: int

    @property
    def cost(self) -> Cost:
        return sum(self.costs, Cost())

    @property
    def requests(self) -> int:
        """How many were sent, which is what the costs were spent on."""
        return sum(run.sent for run in self.runs)

    @property
    def rate(self) -> float:
        return median(run.rate for run in self.runs)

    @property
    def p50(self) -> float:
        return median(run.p50 for run in self.runs)

    @property
    def p99(self) -> float:
        return median(run.p99 for run in self.runs)

    @property
    def share(self) -> float:
        """The load generator's part of the machine."""
        return max(run.share for run in self.runs)

    @property
    def statuses(self) -> Counter[int]:
        return sum((run.statuses for run in self.runs), Counter())


def compare(arena: Arena, rounds: int, seconds: float, say: Say) -> list[Result]:
    """Every way under every load; the overload comes last, as it leaves some of them in ruins."""
    results = []
    with ExitStack() as stack:
        entrants = [stack.enter_context(arena.enter(way)) for way in WAYS]
        for entrant in entrants:
            entrant.add_existing(EXISTING)
        for scenario in SCENARIOS:
            results += in_turn(scenario, entrants, rounds, seconds, say)
    return results + overloaded(arena, say)


def in_turn(
    scenario: Scenario, entrants: Sequence[Entrant], rounds: int, seconds: float, say: Say
) -> list[Result]:
    """One scenario; each round begins with another way."""
    runs: dict[str, list[Run]] = {entrant.way.key: [] for entrant in entrants}
    costs: dict[str, list[Cost]] = {key: [] for key in runs}
    dead = [meters.dead_tuples(entrant) for entrant in entrants]
    meters.settle()
    for number in range(rounds):
        say(f"{scenario.title}, round {number + 1} of {rounds}")
        with meters.metered(entrants) as spent:
            for entrant in [*entrants[number:], *entrants[:number]]:
                runs[entrant.way.key].append(scenario.drive(entrant, seconds))
        for key, cost in spent.items():
            costs[key].append(cost)
    return [
        Result(
            entrant.way,
            scenario,
            runs[entrant.way.key],
            costs[entrant.way.key],
            meters.dead_tuples(entrant) - earlier,
        )
        for entrant, earlier in zip(entrants, dead, strict=True)
    ]


def overloaded(arena: Arena, say: Say) -> list[Result]:
    """Each way on its own, since those without a bound are still hashing long afterwards."""
    # Without a bound each request stays until it is given up, later than that if the load falls
    # behind, and holds a descriptor.
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    rate = min(OVERLOAD * hasher.alone(WORKERS, 3), (descriptors - SPARE) / (2 * LONGEST_WAIT))
    drive = scenarios.overload(rate)
    scenario = Scenario("overload", f"Overload: {rate:.0f} new names a second", drive)
    results = []
    for way in WAYS:
        with arena.enter(way) as entrant:
            results += in_turn(scenario, [entrant], 1, OVERLOAD_SECONDS, say)
    return results
