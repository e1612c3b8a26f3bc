"""Faults of the engines and of the connections to them. Each function heals its fault before it
returns."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from kits.races.proxy.rule import Rule
from kits.races.race import Missed, Race

Inject = Callable[[Race], None]


def apply_for(rule: Rule, seconds: float) -> Inject:
    """Apply a rule to every request for this long."""

    def inject(race: Race) -> None:
        with race.rule_in_force(rule):
            time.sleep(seconds)

    return inject


def cut_off(engine: str) -> Inject:
    """Allow no connection to an engine for a second."""

    def inject(race: Race) -> None:
        race.deployment.proxy.call("disconnect", engine)
        try:
            time.sleep(1)
        finally:
            race.deployment.proxy.call("reconnect", engine)

    return inject


def redis_paused(race: Race, seconds: float = 2) -> None:
    """Redis accepts connections and does not answer."""
    with _stopped([race.deployment.redis.pid]):
        time.sleep(seconds)


def redis_paused_for_long(race: Race) -> None:
    """The same for ten seconds."""
    redis_paused(race, 10)


def redis_killed(race: Race) -> None:
    """Redis crashes, and restarts on its append-only file."""
    race.deployment.redis.kill()
    try:
        time.sleep(0.5)
    finally:
        race.deployment.redis.start()


def redis_tail_lost(race: Race) -> None:
    """Redis crashes and loses the second half of its append-only file."""
    traffic = race.load.start_traffic()
    race.deployment.redis.kill()
    try:
        log = race.deployment.redis.directory / "appendonly.aof"
        os.truncate(log, log.stat().st_size // 2)
    finally:
        race.deployment.redis.start()
    traffic.result()


def redis_flushed(race: Race) -> None:
    """FLUSHALL happens in the middle of the traffic, several times."""
    for _ in range(5):
        traffic = race.load.start_traffic()
        race.flush_redis()
        traffic.result()


def postgres_crashed(race: Race) -> None:
    """Postgres stops as with `pg_ctl stop -m immediate`, and recovers."""
    traffic = race.load.start_traffic()
    crash(race)
    traffic.result()


def postgres_paused(race: Race) -> None:
    """Postgres accepts connections and does not answer."""
    with _stopped([race.deployment.postgres.pid, *_backends(race)]):
        time.sleep(2)


def backends_paused(race: Race) -> None:
    """Existing connections do not answer for longer than a statement may take; new ones do."""
    with _stopped(_backends(race)):
        time.sleep(6.5)


def crash(race: Race) -> None:
    """Stop Postgres at once, and let it recover."""
    race.deployment.postgres.process.send_signal(signal.SIGQUIT)
    try:
        race.deployment.postgres.process.wait(10)
    finally:
        race.deployment.postgres.start()


@contextmanager
def _stopped(pids: list[int]) -> Iterator[None]:
    processes = [psutil.Process(pid) for pid in pids]
    try:
        for process in processes:
            process.suspend()
        yield
    finally:
        for process in processes:
            process.resume()


def _backends(race: Race) -> list[int]:
    """The Postgres processes that serve a client."""
    children = psutil.Process(race.deployment.postgres.pid).children()
    found = [child.pid for child in children if "[local]" in " ".join(child.cmdline())]
    if not found:
        raise Missed("no client is connected")
    return found
