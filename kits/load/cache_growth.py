"""What the username cache costs as it grows: memory for each name, and work for each duplicate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

from kits.command import Effort, Say
from kits.load.costs import read
from kits.load.deployment import COATCHECK, Deployment, Engines
from kits.load.scenarios import register_in_loop
from kits.report import number
from kits.verdict import Verdict
from service.accounts.usernames import Username
from service.registration.username_cache import Taken, UsernameCache

SIZES = (1_000, 100_000, 1_000_000)
HOT = 1_000  # names, spread over the cache; a worker remembers as many
BATCH = 10_000
FLAT = 0.1
KEY = "0" * 32  # as for a name that was registered today: the longest entry there is
PREFIX = "name"


def sizes(engines: Engines, effort: Effort, say: Say) -> Iterator[Verdict]:
    """Run caches of each size side by side, and request their duplicates in turn."""
    with ExitStack() as stack:
        deployments = [stack.enter_context(engines.deploy(COATCHECK)) for _ in SIZES]
        for size, deployment in zip(SIZES, deployments, strict=True):
            say(f"Filling a cache with {size} names")
            memory = fill(deployment, size)
        hot = _rounds(deployments, HOT, effort, say)
        everything = _rounds(deployments, None, effort, say)
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


def fill(deployment: Deployment, size: int) -> float:
    """Let the service's own code publish names; returns the bytes for each."""
    before = deployment.redis.info("memory")["used_memory"]
    pipeline = deployment.redis.pipeline(transaction=False)
    cache = UsernameCache(pipeline)
    for n in range(size):
        cache.publish(Username(_name(n), _name(n)), Taken(KEY))
        if n % BATCH == BATCH - 1:
            pipeline.execute()
    pipeline.execute()
    assert deployment.redis.dbsize() == size
    return (deployment.redis.info("memory")["used_memory"] - before) / size


def _rounds(
    deployments: list[Deployment], requested: int | None, effort: Effort, say: Say
) -> tuple[list[float], list[float]]:
    """The medians by size: duplicates a second, and µs of gunicorn and Redis for each.

    Args:
        deployments: one for each size.
        requested: how many names to request, evenly spaced; None for all.
        effort: how long.
        say: receives a line of progress at a time.
    """
    rates: list[list[float]] = [[] for _ in deployments]
    work: list[list[float]] = [[] for _ in deployments]
    for round_ in range(effort.rounds):
        say(f"Duplicates of {requested or 'all'} names in each cache, round {round_ + 1}")
        for place, (size, deployment) in enumerate(zip(SIZES, deployments, strict=True)):
            before = read(deployment)
            names = requested or size
            arguments = ("random", PREFIX, names, size // names)
            run = register_in_loop(deployment, *arguments, seconds=effort.seconds)
            cost = read(deployment) - before
            assert set(run.statuses) == {409}, run.statuses
            assert cost.statements == 0
            rates[place].append(run.decided)
            work[place].append(cost.cpu / run.requests * 1e6)
    return [median(each) for each in rates], [median(each) for each in work]


def _name(n: int) -> str:
    return f"{PREFIX}{n}"
