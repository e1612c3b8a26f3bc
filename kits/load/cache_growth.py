"""What the username cache costs as it grows: memory for each name, and work for each duplicate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

from kits.command import Effort, Say, Verdict
from kits.generators import wrk
from kits.load import costs as meters
from kits.load.comparison_report import number
from kits.load.testbed import OURS, Arena, Entrant
from service.accounts.username_cache import Taken, UsernameCache
from service.accounts.usernames import Username

SIZES = (1_000, 100_000, 1_000_000)
HOT = 1_000  # of them, all over the cache: as many as a worker remembers anyway
BATCH = 10_000
FLAT = 0.1
KEY = "0" * 32  # as of a name that was registered today: the longest entry there is


def sizes(arena: Arena, effort: Effort, say: Say) -> Iterator[Verdict]:
    """Caches of each size side by side, their duplicates in turn."""
    with ExitStack() as stack:
        entrants = [stack.enter_context(arena.enter(OURS)) for _ in SIZES]
        for size, entrant in zip(SIZES, entrants, strict=True):
            say(f"Filling a cache with {size} names")
            memory = fill(entrant, size)
        hot = _rounds(entrants, HOT, effort, say)
        everything = _rounds(entrants, None, effort, say)
    what = f"memory for each cached name, at {SIZES[-1]} names"
    found = f"{memory:.0f} bytes (Redis 6.2, names of {len(_name(SIZES[-1] - 1))} characters)"
    yield Verdict(what, "measured", found, True)
    spread, found = _spread(*hot)
    what = f"{HOT} hot names in caches of {', '.join(map(str, SIZES))}"
    yield Verdict(what, "flat within 10 %", found, spread <= FLAT)
    yield Verdict("all names of these caches, at random", "measured", _spread(*everything)[1], True)


def _spread(rates: list[float], work: list[float]) -> tuple[float, str]:
    each = ", ".join(
        f"{size}: {number(rate)}/s, {number(cost)} µs of CPU"
        for size, rate, cost in zip(SIZES, rates, work, strict=True)
    )
    spread = max(rates) / min(rates) - 1
    return spread, f"{spread:.1%} between the slowest and the fastest; {each}"


def fill(entrant: Entrant, size: int) -> float:
    """Let the service's own code publish so many names; bytes for each."""
    before = entrant.redis.info("memory")["used_memory"]
    pipeline = entrant.redis.pipeline(transaction=False)
    cache = UsernameCache(pipeline)
    for n in range(size):
        cache.publish(Username(_name(n), _name(n)), Taken(KEY))
        if n % BATCH == BATCH - 1:
            pipeline.execute()
    pipeline.execute()
    assert entrant.redis.dbsize() == size
    return (entrant.redis.info("memory")["used_memory"] - before) / size


def _rounds(
    entrants: list[Entrant], asked: int | None, effort: Effort, say: Say
) -> tuple[list[float], list[float]]:
    """Medians by size: duplicates a second, and µs of gunicorn and Redis for each.

    `asked`: names that are asked for, evenly spaced; None for all.
    """
    rates: list[list[float]] = [[] for _ in entrants]
    work: list[list[float]] = [[] for _ in entrants]
    for number_ in range(effort.rounds):
        say(f"Duplicates of {asked or 'all'} names in each cache, round {number_ + 1}")
        for place, (size, entrant) in enumerate(zip(SIZES, entrants, strict=True)):
            before = meters.read(entrant)
            names = asked or size
            run = wrk(entrant.url, "random", _PREFIX, names, size // names, seconds=effort.seconds)
            cost = meters.read(entrant) - before
            assert set(run.statuses) == {409}, run.statuses
            assert cost.statements == 0
            rates[place].append(run.rate)
            work[place].append(cost.cpu / run.requests * 1e6)
    return [median(each) for each in rates], [median(each) for each in work]


_PREFIX = "name"


def _name(n: int) -> str:
    return f"{_PREFIX}{n}"
