"""Targets that are counts: but for the 2 seconds, they hold however busy the machine is."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import psycopg

from kits.command import Effort, Say, Verdict
from kits.generators import Run, crowd, one_after_another
from kits.load import costs as meters
from kits.load import scenarios
from kits.load.comparison_report import answers
from kits.load.testbed import OURS, Arena, Entrant
from kits.scheduled import Plan

WORKERS = 3
CROWD, LIMIT = 1000, 2.0  # requests for one name; seconds for all of them
FAIR = Counter({201: 1, 409: CROWD - 1})
NAMES, SPELLINGS, AT_ONCE = 50, 200, 5
COLD_NAMES, COLD_CROWD = 10, 100
FULL_WIDTH = ord("ａ") - ord("a")  # noqa: RUF001


def herd(arena: Arena, effort: Effort, say: Say) -> Iterator[Verdict]:
    """A thousand at a barrier for one new name; a new name in each round."""
    runs = []
    with arena.enter(OURS, WORKERS) as entrant:
        said = meters.published_hashes(entrant.url)
        meters.settle()
        with meters.metered([entrant]) as costs:
            for number in range(effort.rounds):
                say(f"{CROWD} at once for one new name, round {number + 1}")
                runs.append(_rush(entrant, scenarios.new_name()))
        said = meters.published_hashes(entrant.url) - said
    cost, slowest = costs[OURS.key], max(run.seconds for run in runs)
    fair = all(run.statuses == FAIR for run in runs)
    once = cost.hashes == cost.inserts == said == len(runs)
    what = f"{CROWD} concurrent requests for one new name, {WORKERS} workers"
    found = "; ".join(f"{answers(run.statuses)} in {run.seconds:.2f} s" for run in runs)
    yield Verdict(what, f"{answers(FAIR)}; within {LIMIT:.0f} s", found, fair and slowest <= LIMIT)
    found = f"{cost.hashes} hashes (/metrics: {said}), {cost.inserts} INSERTs, {cost.selects}"
    found += f" SELECTs, {cost.transactions} transactions for {len(runs)} names"
    yield Verdict("the same", "1 hash and 1 INSERT for each name", found, once)


def spellings(arena: Arena, effort: Effort, say: Say) -> Iterator[Verdict]:
    """A few names at a time, every spelling of each at one barrier."""
    say(f"{NAMES} names in {SPELLINGS} spellings")
    names = [f"contested{first}{second}" for first in "abcde" for second in "abcdefghij"]
    with arena.enter(OURS, WORKERS) as entrant:
        meters.settle()
        with meters.metered([entrant]) as costs:
            groups = [names[n : n + AT_ONCE] for n in range(0, NAMES, AT_ONCE)]
            run = one_after_another(_plan(entrant, group) for group in groups)
        with psycopg.connect(entrant.database_url) as connection:
            accounts = connection.execute("SELECT canonical_username FROM accounts").fetchall()
    right = sorted(name for (name,) in accounts) == sorted(names)
    fair = run.statuses == {201: NAMES, 409: NAMES * (SPELLINGS - 1)}
    cost = costs[OURS.key]
    found = f"{len(accounts)} accounts; {answers(run.statuses)}; {cost.hashes} hashes"
    what = f"the same for {NAMES} names, {SPELLINGS} spellings and cases of each"
    yield Verdict(what, f"{NAMES} accounts", found, right and fair)


def cold(arena: Arena, effort: Effort, say: Say) -> Iterator[Verdict]:
    """After FLUSHALL: in turn as fast as they go, and crowds at a barrier."""
    say("Cold duplicates of existing names")
    with arena.enter(OURS, WORKERS) as entrant:
        entrant.add_existing(scenarios.EXISTING)
        meters.settle()
        with meters.metered([entrant]) as costs:
            run = scenarios.cold(entrant, effort.seconds)
        yield _cold_verdict(entrant, run, run.requests // scenarios.ASKED, costs[OURS.key])
        with meters.metered([entrant]) as costs:
            entrant.forget()
            run = _rush(entrant, *(f"old{n}" for n in range(COLD_NAMES)))
        yield _cold_verdict(entrant, run, COLD_NAMES, costs[OURS.key])


def _cold_verdict(entrant: Entrant, run: Run, names: int, cost: meters.Cost) -> Verdict:
    found = f"{cost.hashes} hashes, {cost.selects} SELECTs for {names} names; "
    found += f"{answers(run.statuses)}; {run.rate:.0f} requests/s"
    passed = cost.hashes == 0 and cost.selects <= names * entrant.workers
    passed = passed and set(run.statuses) == {409}
    what = f"cold duplicates after FLUSHALL, {run.requests // names} requests for each name"
    return Verdict(what, "0 hashes, ≤ 1 SELECT for each name and worker", found, passed)


def _rush(entrant: Entrant, *names: str) -> Run:
    requests = [(0.0, name) for name in names for _ in range(CROWD // len(names))]
    return crowd(Plan(entrant.port, requests, barrier=True))


def _plan(entrant: Entrant, names: list[str]) -> Plan:
    requests = [(0.0, spelling) for name in names for spelling in spelled(name, SPELLINGS)]
    random.shuffle(requests)
    return Plan(entrant.port, requests, barrier=True)


def spelled(name: str, count: int) -> list[str]:
    """Different spellings of one name: in small and capital letters, every fifth full-width."""
    found = []
    for number in range(count):
        letters = [
            letter.upper() if number >> place & 1 else letter for place, letter in enumerate(name)
        ]
        wide = FULL_WIDTH if number % 5 == 0 else 0
        found.append("".join(chr(ord(letter) + wide) for letter in letters))
    assert Counter(found).most_common(1)[0][1] == 1
    return found
