"""Loads and what they cost: contenders take turns, in each round beginning with another one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

import psutil

from kits.bench.testbed import Contender, Cost
from kits.command import Effort, Say
from kits.generators import CONNECTIONS, LoadError, Run, flood
from kits.load.comparison_report import answers

SCRIPT = Path(__file__).with_name("requests.lua")
WARM_UP = 1.0  # seconds
REFUSED = 503


@dataclass(frozen=True)
class Visit:
    """A load on one contender; `load` is given how many seconds to go on. Each answer must have the
    status, or nothing was measured; if it may be refused, 503 may come too, and does not count."""

    title: str
    contender: Contender
    load: Callable[[float], Run]
    status: int = 200
    refusable: bool = False


@dataclass(frozen=True)
class Sample:
    """One run: requests a second; ms; µs of CPU per request, by who spent them; commands to Redis
    per request; the part of the machine that the load generator took, and that others took who had
    no part in it, in percent."""

    rate: float
    p50: float
    p99: float
    workers: float
    redis: float
    postgres: float
    commands: float
    share: float
    others: float


@dataclass(frozen=True)
class Result:
    """All runs of one visit."""

    title: str
    samples: Sequence[Sample]

    @cached_property
    def median(self) -> Sample:
        """Of each quantity for itself."""
        return Sample(*map(median, zip(*map(astuple, self.samples), strict=True)))


def cookies(
    title: str, contender: Contender, path: str, file: Path, connections: int = CONNECTIONS
) -> Visit:
    """GETs of `path`, each with a line of `file` as its Cookie header."""

    def load(seconds: float) -> Run:
        url = f"{contender.url}{path}"
        return flood(url, SCRIPT, "cookies", file, seconds=seconds, connections=connections)

    return Visit(title, contender, load)


def bodies(
    title: str,
    contender: Contender,
    path: str,
    file: Path,
    status: int,
    connections: int = CONNECTIONS,
) -> Visit:
    """POSTs to `path`, each with a line of `file` as its JSON body."""

    def load(seconds: float) -> Run:
        url = f"{contender.url}{path}"
        return flood(url, SCRIPT, "bodies", file, seconds=seconds, connections=connections)

    return Visit(title, contender, load, status)


def in_turn(visits: Sequence[Visit], effort: Effort, say: Say) -> list[Result]:
    """Every visit in each round, after one that does not count."""
    for visit in visits:
        warm_up(visit)
    samples: dict[str, list[Sample]] = {visit.title: [] for visit in visits}
    for number in range(effort.rounds):
        say(f"{', '.join(samples)}: round {number + 1} of {effort.rounds}")
        first = number % len(visits)
        for visit in [*visits[first:], *visits[:first]]:
            samples[visit.title].append(measure(visit, effort.seconds))
    return [Result(title, each) for title, each in samples.items()]


def warm_up(visit: Visit) -> None:
    """A run whose answers do not count: a worker that has just started may refuse."""
    visit.contender.settle()
    visit.load(WARM_UP)


def measure(visit: Visit, seconds: float) -> Sample:
    """One run, and what it cost.

    Raises:
        LoadError: there was an answer of another status than expected.
    """
    visit.contender.settle()
    before, busy, started = visit.contender.cost(), _busy(), time.monotonic()
    run = visit.load(seconds)
    cost = visit.contender.cost() - before
    available = (time.monotonic() - started) * (psutil.cpu_count() or 1)
    return sample(run, visit, cost, (_busy() - busy - cost.cpu) / available - run.share)


def sample(run: Run, visit: Visit, cost: Cost, others: float) -> Sample:
    """What a run says of a visit."""
    answered(visit.title, run, {visit.status, REFUSED} if visit.refusable else {visit.status})
    fulfilled = run.statuses[visit.status]
    if not fulfilled:
        raise LoadError(f"{visit.title} answered nothing but refusals.")
    each = 1e6 / fulfilled
    return Sample(
        rate=fulfilled / run.seconds,
        p50=run.p50,
        p99=run.p99,
        workers=cost.workers * each,
        redis=cost.redis * each,
        postgres=cost.postgres * each,
        commands=cost.commands / fulfilled,
        share=run.share * 100,
        others=others * 100,
    )


def answered(title: str, run: Run, statuses: set[int]) -> None:
    """Raise LoadError unless all answers were of these statuses."""
    if not run.statuses or not set(run.statuses) <= statuses:
        counted = " or ".join(map(str, sorted(statuses)))
        said = answers(run.statuses) or "nothing"
        raise LoadError(f"{title} answered {said}, and only {counted} counts")


def _busy() -> float:
    """Seconds of CPU that the machine has spent on anything."""
    times = psutil.cpu_times()
    return times.user + times.nice + times.system
