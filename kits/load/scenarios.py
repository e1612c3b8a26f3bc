"""The loads that every way is put under."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from kits.generators import CONNECTIONS, Run, crowd, one_after_another, wrk
from kits.load.testbed import Entrant
from kits.scheduled import PASSWORD, Plan

EXISTING = 100_000  # old0, old1, …: more than the fastest way can ask for in one cold run
ASKED = 4  # times that each cold name is asked for, so that several workers meet it
HERDS, HERD = 10, 50
MOST = 1000  # names a second that a visitor could ask for, refusals included

_serial = itertools.count()


@dataclass(frozen=True)
class Scenario:
    """A load; `drive` is given the entrant and how many seconds to go on."""

    key: str
    title: str
    drive: Callable[[Entrant, float], Run]


def new_name() -> str:
    """A name that nobody had before."""
    return f"new{next(_serial)}"


def hot(entrant: Entrant, seconds: float) -> Run:
    """One name that exists since long: the cache has to find out first."""
    entrant.forget()
    return wrk(entrant.url, "same", "old0", seconds=seconds)


def fresh(entrant: Entrant, seconds: float) -> Run:
    """One name that was registered a moment ago, through the contender itself."""
    name = new_name()
    register(entrant, name)
    return wrk(entrant.url, "same", name, seconds=seconds)


def cold(entrant: Entrant, seconds: float) -> Run:
    """Existing names, each a few times, after Redis has lost everything."""
    entrant.forget()
    return wrk(entrant.url, "each", "old", ASKED, seconds=seconds)


def herd(entrant: Entrant, seconds: float) -> Run:
    """A new name and a crowd that wants it, at a barrier; then the next name."""
    names = [new_name() for _ in range(HERDS)]
    crowds = [Plan(entrant.port, [(0.0, name)] * HERD, barrier=True) for name in names]
    return one_after_another(crowds)


def new(entrant: Entrant, seconds: float) -> Run:
    """Names that are all new, by visitors of whom so many are there at a time."""
    names = new_names(round(seconds * MOST))
    requests = [(0.0, name) for name in names]
    return crowd(Plan(entrant.port, requests, limit=CONNECTIONS, until=seconds))


def overload(rate: float) -> Callable[[Entrant, float], Run]:
    """New names that arrive at `rate` a second, whatever becomes of those before them."""

    def drive(entrant: Entrant, seconds: float) -> Run:
        names = new_names(round(rate * seconds))
        return crowd(Plan(entrant.port, [(n / rate, name) for n, name in enumerate(names)]))

    return drive


def new_names(count: int) -> list[str]:
    """Names that nobody had before."""
    prefix = new_name()
    return [f"{prefix}x{n}" for n in range(count)]


def register(entrant: Entrant, username: str) -> int:
    """The status that one registration is answered with."""
    body = {"username": username, "password": PASSWORD}
    return httpx.post(f"{entrant.url}/api/v1/accounts", json=body, timeout=10).status_code


SCENARIOS = (
    Scenario("hot", "Hot duplicates: one old name", hot),
    Scenario("fresh", "Hot duplicates: one fresh name", fresh),
    Scenario("cold", "Cold duplicates after FLUSHALL", cold),
    Scenario("herd", f"Herds: {HERD} at once for each of {HERDS} new names", herd),
    Scenario("new", "New names only", new),
)
