"""Faults of the engines and of the way to them. Each is healed when its function returns."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from kits.races.proxies.proxy import Rule
from kits.races.race import Missed, Race

Inject = Callable[[Race], None]


def while_ruled(rule: Rule, seconds: float) -> Inject:
    """A rule that strikes every time, for so long."""

    def inject(race: Race) -> None:
        with race.ruled(rule):
            time.sleep(seconds)

    return inject


def cut_off(engine: str) -> Inject:
    """No connection to an engine, for a second."""

    def inject(race: Race) -> None:
        race.site.proxies.ask("sever", engine)
        try:
            time.sleep(1)
        finally:
            race.site.proxies.ask("mend", engine)

    return inject


def redis_paused(race: Race, seconds: float = 2) -> None:
    """It accepts and does not answer."""
    with _stopped([race.site.redis.pid]):
        time.sleep(seconds)


def redis_paused_for_long(race: Race) -> None:
    """The same for ten seconds."""
    redis_paused(race, 10)


def redis_killed(race: Race) -> None:
    """A crash, and a restart on what its log holds."""
    race.site.redis.kill()
    try:
        time.sleep(0.5)
    finally:
        race.site.redis.start()


def redis_tail_lost(race: Race) -> None:
    """A crash that takes the second half of the append-only file with it."""
    bustle = race.load.bustle()
    race.site.redis.kill()
    try:
        log = race.site.redis.directory / "appendonly.aof"
        os.truncate(log, log.stat().st_size // 2)
    finally:
        race.site.redis.start()
    bustle.result()


def redis_flushed(race: Race) -> None:
    """FLUSHALL in the middle of a herd, several times."""
    for _ in range(5):
        bustle = race.load.bustle()
        race.flush_redis()
        bustle.result()


def postgres_crashed(race: Race) -> None:
    """Stopped as by `pg_ctl stop -m immediate`, and recovered."""
    bustle = race.load.bustle()
    crash(race)
    bustle.result()


def postgres_paused(race: Race) -> None:
    """The server accepts and does not answer."""
    with _stopped([race.site.postgres.pid, *_backends(race)]):
        time.sleep(2)


def backends_paused(race: Race) -> None:
    """The connections that there are do not answer, for longer than a statement may take; new
    ones do."""
    with _stopped(_backends(race)):
        time.sleep(6.5)


def crash(race: Race) -> None:
    """Stop Postgres at once, and have it recover."""
    race.site.postgres.process.send_signal(signal.SIGQUIT)
    try:
        race.site.postgres.process.wait(10)
    finally:
        race.site.postgres.start()


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
    """The server's processes that serve a client."""
    children = psutil.Process(race.site.postgres.pid).children()
    found = [child.pid for child in children if "[local]" in " ".join(child.cmdline())]
    if not found:
        raise Missed("nobody is connected")
    return found
