"""The strategies side by side: in every scenario they take turns, round by round."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from kits.command import Effort, Say
from kits.counters import settle
from kits.engines import WORKERS
from kits.generators import LONGEST_WAIT, Run
from kits.hasher import hashes_per_second
from kits.load.costs import Cost, dead_tuples, metered
from kits.load.deployment import STRATEGIES, Deployment, Engines, Strategy
from kits.load.scenarios import EXISTING, SCENARIOS, Scenario, overload

OVERLOAD, OVERLOAD_SECONDS = 10, 20.0
SPARE = 200  # file descriptors for everything except connections


@dataclass(frozen=True)
class Result:
    """What one strategy did in one scenario, over all rounds."""

    strategy: Strategy
    scenario: Scenario
    runs: Sequence[Run]
    costs: Sequence[Cost]  # of each round
    dead: int  # tuples

    @property
    def cost(self) -> Cost:
        return sum(self.costs, Cost())

    @property
    def requests(self) -> int:
        """How many requests were sent, and so caused the cost."""
        return sum(run.sent for run in self.runs)

    @property
    def rate(self) -> float:
        return median(run.decided for run in self.runs)

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


def compare(engines: Engines, effort: Effort, say: Say) -> list[Result]:
    """Put every strategy under every load; the overload comes last because some do not recover."""
    results = []
    with ExitStack() as stack:
        deployments = [stack.enter_context(engines.deploy(each)) for each in STRATEGIES]
        for deployment in deployments:
            deployment.add_existing(EXISTING)
        for scenario in SCENARIOS:
            results += in_turn(scenario, deployments, effort, say)
    return results + _overloaded(engines, say)


def in_turn(
    scenario: Scenario, deployments: Sequence[Deployment], effort: Effort, say: Say
) -> list[Result]:
    """Run one scenario; each round starts with a different strategy."""
    runs: dict[str, list[Run]] = {each.strategy.key: [] for each in deployments}
    costs: dict[str, list[Cost]] = {key: [] for key in runs}
    dead = [dead_tuples(deployment) for deployment in deployments]
    settle()
    for number in range(effort.rounds):
        say(f"{scenario.title}, round {number + 1} of {effort.rounds}")
        with metered(deployments) as spent:
            for deployment in [*deployments[number:], *deployments[:number]]:
                runs[deployment.strategy.key].append(scenario.drive(deployment, effort.seconds))
        for key, cost in spent.items():
            costs[key].append(cost)
    return [
        Result(
            deployment.strategy,
            scenario,
            runs[deployment.strategy.key],
            costs[deployment.strategy.key],
            dead_tuples(deployment) - earlier,
        )
        for deployment, earlier in zip(deployments, dead, strict=True)
    ]


def _overloaded(engines: Engines, say: Say) -> list[Result]:
    """Overload each strategy alone: one without a bound is still hashing long afterwards."""
    # Without a bound, every request holds a descriptor until it times out, or longer if the load
    # generator falls behind.
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = (descriptors - SPARE) / (2 * LONGEST_WAIT)
    rate = min(OVERLOAD * hashes_per_second(WORKERS, 3), most)
    scenario = Scenario("overload", f"Overload: {rate:.0f} new names a second", overload(rate))
    results = []
    for strategy in STRATEGIES:
        with engines.deploy(strategy) as deployment:
            results += in_turn(scenario, [deployment], Effort(1, OVERLOAD_SECONDS), say)
    return results
