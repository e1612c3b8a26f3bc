"""The loads that every strategy has to bear."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from kits.generators import CONNECTIONS, Run, closed_loop, one_after_another, scheduled
from kits.load.deployment import Deployment
from kits.scheduled import Schedule
from tests.passwords import PASSWORD

SCRIPT = Path(__file__).with_name("registrations.lua")
ACCOUNTS = "/api/v1/accounts"
EXISTING = 100_000  # old0, old1, …: more than the fastest strategy can look up in one cold run
REPEATS = 4  # requests for each cold name, so that several workers see it
HERDS, HERD = 10, 50
MOST = 1000  # names a second that one connection could request, including rejections

_serial = itertools.count()


@dataclass(frozen=True)
class Scenario:
    """A load; `drive` takes a deployment and how many seconds to go on."""

    key: str
    title: str
    drive: Callable[[Deployment, float], Run]


def new_name() -> str:
    """A name that nobody has registered."""
    return f"new{next(_serial)}"


def new_names(count: int) -> list[str]:
    """Names that nobody has registered."""
    prefix = new_name()
    return [f"{prefix}x{n}" for n in range(count)]


def hot(deployment: Deployment, seconds: float) -> Run:
    """Request one name that has long existed; the cache has to learn it first."""
    deployment.empty_redis()
    return register_in_loop(deployment, "same", "old0", seconds=seconds)


def fresh(deployment: Deployment, seconds: float) -> Run:
    """Request one name that was registered a moment ago, through the deployment itself."""
    name = new_name()
    register(deployment, name)
    return register_in_loop(deployment, "same", name, seconds=seconds)


def cold(deployment: Deployment, seconds: float) -> Run:
    """Request existing names, each a few times, after Redis has lost everything."""
    deployment.empty_redis()
    return register_in_loop(deployment, "each", "old", REPEATS, seconds=seconds)


def herd(deployment: Deployment, seconds: float) -> Run:
    """Let a herd race for a new name from a barrier, then another herd for the next name."""
    names = [new_name() for _ in range(HERDS)]
    return one_after_another(
        Schedule(deployment.url, [(0.0, name)] * HERD, barrier=True) for name in names
    )


def new(deployment: Deployment, seconds: float) -> Run:
    """Register only new names, on a fixed number of connections."""
    requests = [(0.0, name) for name in new_names(round(seconds * MOST))]
    return scheduled(Schedule(deployment.url, requests, limit=CONNECTIONS, until=seconds))


def overload(rate: float) -> Callable[[Deployment, float], Run]:
    """Register new names at `rate` a second, regardless of how many are still waiting."""

    def drive(deployment: Deployment, seconds: float) -> Run:
        names = new_names(round(rate * seconds))
        requests = [(n / rate, name) for n, name in enumerate(names)]
        return scheduled(Schedule(deployment.url, requests))

    return drive


def register_in_loop(deployment: Deployment, *arguments: str | int, seconds: float) -> Run:
    """Send registrations in a closed loop; `arguments` are those of registrations.lua."""
    return closed_loop(f"{deployment.url}{ACCOUNTS}", SCRIPT, *arguments, seconds=seconds)


def register(deployment: Deployment, username: str) -> int:
    """Register one name; the status of the response."""
    body = {"username": username, "password": PASSWORD}
    return httpx.post(f"{deployment.url}{ACCOUNTS}", json=body, timeout=10).status_code


HOT = Scenario("hot", "Hot duplicates: one old name", hot)
FRESH = Scenario("fresh", "Hot duplicates: one fresh name", fresh)
SCENARIOS = (
    HOT,
    FRESH,
    Scenario("cold", "Cold duplicates after FLUSHALL", cold),
    Scenario("herd", f"Herds: {HERD} at once for each of {HERDS} new names", herd),
    Scenario("new", "New names only", new),
)
