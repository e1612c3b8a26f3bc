"""Targets that are counts: except for the limit of 2 seconds, they hold on a busy machine too."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import psycopg

from kits.command import Effort, Say
from kits.counters import published_hashes, settle
from kits.generators import Run, one_after_another, scheduled
from kits.load import scenarios
from kits.load.costs import Cost, metered
from kits.load.deployment import COATCHECK, Deployment, Engines
from kits.report import responses
from kits.scheduled import Schedule
from kits.verdict import Verdict

WORKERS = 3
CROWD, LIMIT = 1000, 2.0  # requests for one name; seconds for all of them
ONE_WINNER = Counter({201: 1, 409: CROWD - 1})
NAMES, SPELLINGS, AT_ONCE = 50, 200, 5
COLD_NAMES = 10
FULL_WIDTH = ord("ａ") - ord("a")  # noqa: RUF001


def herd(engines: Engines, effort: Effort, say: Say) -> Iterator[Verdict]:
    """Release a thousand requests for one new name from a barrier; a new name in each round."""
    runs = []
    with engines.deploy(COATCHECK, WORKERS) as deployment:
        published = published_hashes(deployment.url)
        settle()
        with metered([deployment]) as costs:
            for number in range(effort.rounds):
                say(f"{CROWD} requests at once for one new name, round {number + 1}")
                runs.append(_race(deployment, scenarios.new_name()))
        published = published_hashes(deployment.url) - published
    cost, slowest = costs[COATCHECK.key], max(run.seconds for run in runs)
    fair = all(run.statuses == ONE_WINNER for run in runs)
    once = cost.hashes == cost.inserts == published == len(runs)
    what = f"{CROWD} concurrent requests for one new name, {WORKERS} workers"
    target = f"{responses(ONE_WINNER)}; within {LIMIT:.0f} s"
    found = "; ".join(f"{responses(run.statuses)} in {run.seconds:.2f} s" for run in runs)
    yield Verdict(what, target, found, fair and slowest <= LIMIT)
    found = f"{cost.hashes} hashes (/metrics: {published}), {cost.inserts} INSERTs, {cost.selects}"
    found += f" SELECTs, {cost.transactions} transactions for {len(runs)} names"
    yield Verdict("the same", "1 hash and 1 INSERT for each name", found, once)


def spellings(engines: Engines, effort: Effort, say: Say) -> Iterator[Verdict]:
    """Race for a few names at a time, every spelling of each from one barrier."""
    say(f"{NAMES} names in {SPELLINGS} spellings")
    names = [f"contested{first}{second}" for first in "abcde" for second in "abcdefghij"]
    with engines.deploy(COATCHECK, WORKERS) as deployment:
        settle()
        with metered([deployment]) as costs:
            groups = [names[n : n + AT_ONCE] for n in range(0, NAMES, AT_ONCE)]
            run = one_after_another(_all_spellings(deployment, group) for group in groups)
        with psycopg.connect(deployment.database_url) as connection:
            accounts = connection.execute("SELECT canonical_username FROM accounts").fetchall()
    right = sorted(name for (name,) in accounts) == sorted(names)
    fair = run.statuses == {201: NAMES, 409: NAMES * (SPELLINGS - 1)}
    hashes = costs[COATCHECK.key].hashes
    found = f"{len(accounts)} accounts; {responses(run.statuses)}; {hashes} hashes"
    what = f"the same for {NAMES} names, {SPELLINGS} spellings and cases of each"
    yield Verdict(what, f"{NAMES} accounts", found, right and fair)


def cold(engines: Engines, effort: Effort, say: Say) -> Iterator[Verdict]:
    """After FLUSHALL, request existing names in a closed loop, and then in races."""
    say("Cold duplicates of existing names")
    with engines.deploy(COATCHECK, WORKERS) as deployment:
        deployment.add_existing(scenarios.EXISTING)
        settle()
        with metered([deployment]) as costs:
            run = scenarios.cold(deployment, effort.seconds)
        yield _judge_cold(run, run.requests // scenarios.REPEATS, costs[COATCHECK.key])
        with metered([deployment]) as costs:
            deployment.empty_redis()
            run = _race(deployment, *(f"old{n}" for n in range(COLD_NAMES)))
        yield _judge_cold(run, COLD_NAMES, costs[COATCHECK.key])


def _judge_cold(run: Run, names: int, cost: Cost) -> Verdict:
    found = f"{cost.hashes} hashes, {cost.selects} SELECTs for {names} names; "
    found += f"{responses(run.statuses)}; {run.decided:.0f} requests/s"
    passed = cost.hashes == 0 and cost.selects <= names * WORKERS
    passed = passed and set(run.statuses) == {409}
    what = f"cold duplicates after FLUSHALL, {run.requests // names} requests for each name"
    return Verdict(what, "0 hashes, ≤ 1 SELECT for each name and worker", found, passed)


def _race(deployment: Deployment, *names: str) -> Run:
    requests = [(0.0, name) for name in names for _ in range(CROWD // len(names))]
    return scheduled(Schedule(deployment.url, requests, barrier=True))


def _all_spellings(deployment: Deployment, names: list[str]) -> Schedule:
    requests = [(0.0, spelling) for name in names for spelling in spelled(name, SPELLINGS)]
    random.shuffle(requests)
    return Schedule(deployment.url, requests, barrier=True)


def spelled(name: str, count: int) -> list[str]:
    """Different spellings of one name: upper and lower case, and every fifth in full width."""
    found = []
    for number in range(count):
        letters = [
            letter.upper() if number >> place & 1 else letter for place, letter in enumerate(name)
        ]
        wide = FULL_WIDTH if number % 5 == 0 else 0
        found.append("".join(chr(ord(letter) + wide) for letter in letters))
    assert Counter(found).most_common(1)[0][1] == 1
    return found
