"""Targets that are times: rounds of what is compared take turns, and medians are judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

from kits import hasher
from kits.command import Effort, Say, Verdict
from kits.generators import LOST, Run, percentile
from kits.load import comparison, scenarios
from kits.load.comparison import Result
from kits.load.comparison_report import answers, number
from kits.load.testbed import OURS, WAYS, WORKERS, Arena

TRANSACTIONS, TIMES = 5, 6
PART_OF_HASHER = 0.9
REFUSED = (429, 503)
SLOWER, REFUSAL = 2, 100  # times; ms
BASIS, OVERLOAD_SECONDS = 10, 20.0


def hot(arena: Arena, effort: Effort, say: Say) -> Iterator[Verdict]:
    """A name that exists since long; and, for comparison, one that is fresh."""
    with ExitStack() as stack:
        entrants = [stack.enter_context(arena.enter(way)) for way in WAYS]
        for entrant in entrants:
            entrant.add_existing(scenarios.EXISTING)
        old, fresh = (
            comparison.in_turn(scenario, entrants, effort.rounds, effort.seconds, say)
            for scenario in scenarios.SCENARIOS[:2]
        )
    ours = old[-1]
    most = max(cost.transactions for cost in ours.costs)
    found = f"{most} transactions in the worst round; over all {ours.cost.statements} statements,"
    found += f" {ours.cost.hashes} hashes for {answers(ours.statuses)}"
    what = f"hot duplicates, 32 connections, {effort.seconds:.0f} s"
    target = f"≤ {TRANSACTIONS} Postgres transactions in all"
    yield Verdict(what, target, found, most <= TRANSACTIONS and set(ours.statuses) == {409})
    times, found = _times(old)
    yield Verdict(
        what,
        f"≥ {TIMES} times the best of the originals",
        f"{found}; wrk took {ours.share:.0%} of the CPU. {_times(fresh)[1]} if the name is fresh",
        times >= TIMES,
    )


def _times(results: list[Result]) -> tuple[float, str]:
    rates = {result.way.title: result.rate for result in results}
    times = rates.pop(OURS.title) / max(rates.values())
    listed = ", ".join(f"{title} {number(rate)}" for title, rate in rates.items())
    return times, f"{times:.1f} times: {number(results[-1].rate)}/s (originals: {listed})"


def new(arena: Arena, effort: Effort, say: Say) -> Iterator[Verdict]:
    """The hashers alone, and the service with nothing but new names."""
    alone: dict[str, list[float]] = {library: [] for library in hasher.LIBRARIES}
    runs = []
    with arena.enter(OURS) as entrant:
        for number_ in range(effort.rounds):
            say(f"New names only and the hashers alone, round {number_ + 1}")
            for library, rates in alone.items():
                rates.append(hasher.alone(WORKERS, effort.seconds, library))
            runs.append(scenarios.new(entrant, effort.seconds))
    rate = median(run.registered for run in runs)
    said = f"{answers(_all(runs))}; the load took {max(r.share for r in runs):.1%} of the CPU"
    for library, rates in alone.items():
        most = median(rates)
        found = f"{rate / most:.0%}: {number(rate)}/s of {number(most)}/s; {said}"
        target = f"≥ {PART_OF_HASHER:.0%} of argon2id alone, as {library} computes it"
        yield Verdict("new names only", target, found, rate >= PART_OF_HASHER * most)


def overload(arena: Arena, effort: Effort, say: Say) -> Iterator[Verdict]:
    """As many visitors as in `new`; then arrivals at ten times the rate that they reached."""
    with arena.enter(OURS) as entrant:
        say("New names only")
        basis = scenarios.new(entrant, BASIS)
        rate = comparison.OVERLOAD * basis.registered
        say(f"{rate:.0f} new names a second")
        run = scenarios.overload(rate)(entrant, OVERLOAD_SECONDS)
    what = f"{comparison.OVERLOAD} times that load for {OVERLOAD_SECONDS:.0f} s"
    found = f"{answers(run.statuses)} at {rate:.0f}/s; {number(run.registered)} registered/s"
    fine = set(run.statuses) <= {201, *REFUSED} and run.statuses[LOST] == 0
    yield Verdict(what, "no 500, no time-out", found, fine)
    usual = percentile(basis.latencies(201), 99)
    p99 = percentile(run.latencies(201), 99)
    found = f"{p99 / usual:.1f} times: {p99:.0f} ms, without overload {usual:.0f} ms"
    found += f" ({answers(basis.statuses)})"
    target = f"p99 of the accepted ≤ {SLOWER} times that without"
    yield Verdict("the same", target, found, p99 <= SLOWER * usual)
    refusals = run.latencies(*REFUSED)
    p99 = percentile(refusals, 99) if refusals else 0.0
    found = f"p50 {percentile(refusals, 50):.0f} ms, p99 {p99:.0f} ms"
    yield Verdict("the same", f"refusals in ≤ {REFUSAL} ms p99", found, p99 <= REFUSAL)


def _all(runs: list[Run]) -> Counter[int]:
    return sum((run.statuses for run in runs), Counter())
