"""Targets that are times: whatever is compared takes turns, and the medians are judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

from kits.command import Effort, Say
from kits.engines import WORKERS
from kits.generators import LOST, Run, percentile
from kits.hasher import LIBRARIES, SERVICE, hashes_per_second
from kits.load import scenarios
from kits.load.comparison import OVERLOAD, OVERLOAD_SECONDS, Result, in_turn
from kits.load.deployment import COATCHECK, STRATEGIES, Engines
from kits.report import number, responses
from kits.verdict import Verdict

TRANSACTIONS, TIMES, TIMES_FRESH = 5, 9, 6
PART_OF_HASHER, PART_OF_CAPACITY = 0.68, 0.8
SHED = (429, 503)
SLOWER, PROMPT = 2, 1000  # times; ms
BASIS = 10  # seconds


def hot(engines: Engines, effort: Effort, say: Say) -> Iterator[Verdict]:
    """Request a name that has long existed and, for comparison, one that is fresh."""
    with ExitStack() as stack:
        deployments = [stack.enter_context(engines.deploy(each)) for each in STRATEGIES]
        for deployment in deployments:
            deployment.add_existing(scenarios.EXISTING)
        old, fresh = (
            in_turn(scenario, deployments, effort, say)
            for scenario in (scenarios.HOT, scenarios.FRESH)
        )
    ours = old[-1]
    most = max(cost.transactions for cost in ours.costs)
    found = f"{most} transactions in the worst round; over all {ours.cost.statements} statements,"
    found += f" {ours.cost.hashes} hashes for {responses(ours.statuses)}"
    what = f"hot duplicates, 32 connections, {effort.seconds:.0f} s"
    target = f"≤ {TRANSACTIONS} Postgres transactions in total"
    yield Verdict(what, target, found, most <= TRANSACTIONS and set(ours.statuses) == {409})
    for name, results, least in (("an old name", old, TIMES), ("a fresh one", fresh, TIMES_FRESH)):
        times, found = _times(results)
        target = f"≥ {least} times the best of the tutorials"
        found += f"; wrk took {results[-1].share:.0%} of the CPU"
        yield Verdict(f"{what}, {name}", target, found, times >= least)


def _times(results: list[Result]) -> tuple[float, str]:
    rates = {result.strategy.title: result.rate for result in results}
    times = rates.pop(COATCHECK.title) / max(rates.values())
    listed = ", ".join(f"{title} {number(rate)}" for title, rate in rates.items())
    return times, f"{times:.1f} times: {number(results[-1].rate)}/s (tutorials: {listed})"


def new(engines: Engines, effort: Effort, say: Say) -> Iterator[Verdict]:
    """Let the hashers run alone, and the service register only new names."""
    alone: dict[str, list[float]] = {library: [] for library in LIBRARIES}
    runs = []
    with engines.deploy(COATCHECK) as deployment:
        for round_ in range(effort.rounds):
            say(f"New names only and the hashers alone, round {round_ + 1}")
            for library, rates in alone.items():
                rates.append(hashes_per_second(WORKERS, effort.seconds, library))
            runs.append(scenarios.new(deployment, effort.seconds))
    rate = median(run.registered for run in runs)
    statuses = sum((run.statuses for run in runs), Counter[int]())
    share = f"the load took {max(run.share for run in runs):.1%} of the CPU"
    for library, rates in alone.items():
        say(f"{library} alone: {number(median(rates))} hashes/s")
    most = median(alone[SERVICE])
    found = (
        f"{rate / most:.0%}: {number(rate)}/s of {number(most)}/s; {responses(statuses)}; {share}"
    )
    target = f"≥ {PART_OF_HASHER:.0%} of argon2id alone, as the service computes it"
    yield Verdict("new names only", target, found, rate >= PART_OF_HASHER * most)


def overload(engines: Engines, effort: Effort, say: Say) -> Iterator[Verdict]:
    """Register as fast as in `new`, then send ten times as many registrations a second."""
    with engines.deploy(COATCHECK) as deployment:
        say("New names only")
        basis = scenarios.new(deployment, BASIS)
        rate = OVERLOAD * basis.registered
        say(f"{rate:.0f} new names a second")
        run = scenarios.overload(rate)(deployment, OVERLOAD_SECONDS)
    what = f"{OVERLOAD} times that load for {OVERLOAD_SECONDS:.0f} s"
    found = f"{responses(run.statuses)} at {rate:.0f}/s; {number(run.registered)} registered/s"
    fine = set(run.statuses) <= {201, *SHED} and run.statuses[LOST] == 0
    yield Verdict(what, "no 500, no time-out", found, fine)
    accepted = run.registered
    found = (
        f"{accepted / basis.registered:.2f}: {number(accepted)}/s of {number(basis.registered)}/s"
    )
    target = f"accepted ≥ {PART_OF_CAPACITY} times what is registered without overload"
    yield Verdict("the same", target, found, accepted >= PART_OF_CAPACITY * basis.registered)
    yield _judge_accepted(basis, run)
    yield _judge_shed(run)


def _judge_accepted(basis: Run, run: Run) -> Verdict:
    usual = percentile(basis.latencies(201), 99)
    p99 = percentile(run.latencies(201), 99)
    found = f"{p99 / usual:.1f} times: {p99:.0f} ms, without overload {usual:.0f} ms"
    found += f" ({responses(basis.statuses)})"
    target = f"p99 of accepted requests ≤ {SLOWER} times that without overload"
    return Verdict("the same", target, found, p99 <= SLOWER * usual)


def _judge_shed(run: Run) -> Verdict:
    latencies = run.latencies(*SHED)
    p99 = percentile(latencies, 99) if latencies else 0.0
    found = f"p50 {percentile(latencies, 50):.0f} ms, p99 {p99:.0f} ms"
    return Verdict("the same", f"p99 of shed requests ≤ {PROMPT} ms", found, p99 <= PROMPT)
