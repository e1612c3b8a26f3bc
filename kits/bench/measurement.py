"""Loads and what they cost: contenders take turns, and each round starts with a different one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

import psutil

from kits.bench.contender import Contender, Cost
from kits.command import Effort, Say
from kits.generators import CONNECTIONS, LoadError, Run, closed_loop
from kits.report import responses

SCRIPT = Path(__file__).with_name("requests.lua")
WARM_UP = 1.0  # seconds
SHED = 503


@dataclass(frozen=True)
class Load:
    """A load on one contender; `drive` takes how many seconds to go on. Every response must have
    the expected status, or nothing is measured. If `may_shed`, 503 is allowed too, and does not
    count."""

    title: str
    contender: Contender
    drive: Callable[[float], Run]
    status: int = 200
    may_shed: bool = False


@dataclass(frozen=True)
class Sample:
    """One run: requests per second; latencies in ms; CPU time of each part in µs per request;
    commands of Redis per request; and the percentages of the machine that the load generator and
    unrelated processes used."""

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
    """All samples of one load."""

    title: str
    samples: Sequence[Sample]

    @cached_property
    def median(self) -> Sample:
        """The median of each quantity by itself."""
        return Sample(*map(median, zip(*map(astuple, self.samples), strict=True)))


def get_with_cookies(
    title: str, contender: Contender, path: str, file: Path, connections: int = CONNECTIONS
) -> Load:
    """GET `path`, each time with a line of `file` as the Cookie header."""

    def drive(seconds: float) -> Run:
        url = f"{contender.url}{path}"
        return closed_loop(url, SCRIPT, "get", file, seconds=seconds, connections=connections)

    return Load(title, contender, drive)


def post_bodies(
    title: str,
    contender: Contender,
    path: str,
    file: Path,
    status: int,
    connections: int = CONNECTIONS,
) -> Load:
    """POST to `path`, each time with a line of `file` as the JSON body."""

    def drive(seconds: float) -> Run:
        url = f"{contender.url}{path}"
        return closed_loop(url, SCRIPT, "post", file, seconds=seconds, connections=connections)

    return Load(title, contender, drive, status)


def in_turn(loads: Sequence[Load], effort: Effort, say: Say) -> list[Result]:
    """Run every load once in each round, after a warm-up."""
    for load in loads:
        warm_up(load)
    samples: dict[str, list[Sample]] = {load.title: [] for load in loads}
    for number in range(effort.rounds):
        say(f"{', '.join(samples)}: round {number + 1} of {effort.rounds}")
        first = number % len(loads)
        for load in [*loads[first:], *loads[:first]]:
            samples[load.title].append(_measure(load, effort.seconds))
    return [Result(title, each) for title, each in samples.items()]


def warm_up(load: Load) -> None:
    """Run a load that does not count, because a worker that has just started may shed requests."""
    load.contender.settle()
    load.drive(WARM_UP)


def _measure(load: Load, seconds: float) -> Sample:
    load.contender.settle()
    before, busy, started = load.contender.cost(), _busy(), time.monotonic()
    run = load.drive(seconds)
    cost = load.contender.cost() - before
    available = (time.monotonic() - started) * (psutil.cpu_count() or 1)
    return sample(run, load, cost, (_busy() - busy - cost.cpu) / available - run.share)


def sample(run: Run, load: Load, cost: Cost, others: float) -> Sample:
    """What one run says about a load.

    Raises:
        LoadError: a response had an unexpected status.
    """
    require_statuses(load.title, run, {load.status, SHED} if load.may_shed else {load.status})
    fulfilled = run.statuses[load.status]
    if not fulfilled:
        raise LoadError(f"{load.title} shed every request.")
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


def require_statuses(title: str, run: Run, statuses: set[int]) -> None:
    """Check the statuses of a run.

    Raises:
        LoadError: there was another one, or no response.
    """
    if not run.statuses or not set(run.statuses) <= statuses:
        expected = " or ".join(map(str, sorted(statuses)))
        got = responses(run.statuses) or "nothing"
        raise LoadError(f"{title} answered {got}, and only {expected} counts")


def _busy() -> float:
    """The seconds of CPU that the machine has spent on anything."""
    times = psutil.cpu_times()
    return times.user + times.nice + times.system
