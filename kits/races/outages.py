"""What an outage of the one Redis costs under load: `python -m kits.races.outages`.

stopped     it hangs for ten seconds (SIGSTOP), and goes on
killed      it is killed, and started again on its append-only file
unplugged   the same after a power failure, as far as it can be played: the file ends where it
            ended a second before, which is what `appendfsync everysec` may lose
price       what a write costs under `appendfsync everysec`, and under `always`

Clients log in, write, read and log out meanwhile. Asked for: every answer within 1.5 s, nothing but
success and 503, no cookie deleted, every session alive afterwards, and the last 503 within 3 s of
Redis' return, by the same workers. Of `unplugged` only what was lost is counted.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from service.embedded import Postgres
from service.embedded import Redis as EmbeddedRedis
from service.sessions.ids import new_locator
from service.sessions.record import Limits, Metadata
from service.sessions.store import SessionStore
from service.storage.migrations import migrate
from service.storage.redis import connect
from tests.servers import Server, gunicorn
from tests.session_clients import Crowd

RECOVERY = 3.0  # seconds, from Redis' return to the last 503
POWER_GAP = 0.95  # seconds of the append-only file that a power failure may take
WRITES = 2_000

Fault = Callable[[EmbeddedRedis], None]


def stopped(redis: EmbeddedRedis, seconds: float = 10) -> None:
    """It accepts, and does not answer for so long."""
    redis.process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    redis.process.send_signal(signal.SIGCONT)


def killed(redis: EmbeddedRedis) -> None:
    """A crash of Redis."""
    redis.kill()
    time.sleep(0.5)
    redis.start()


def unplugged(redis: EmbeddedRedis) -> None:
    """A crash of the machine: what was not synchronised is gone."""
    log = redis.directory / "appendonly.aof"
    size = log.stat().st_size
    time.sleep(POWER_GAP)
    redis.kill()
    os.truncate(log, size)
    redis.start()


FAULTS: dict[str, Fault] = {"stopped": stopped, "killed": killed, "unplugged": unplugged}


def run(
    redis: EmbeddedRedis, server: Server, fault: Fault, clients: int = 12, around: float = 4
) -> bool:
    """Load, the fault, load; prints what came of it.

    Args:
        redis: where sessions are kept.
        server: the service.
        fault: what happens to Redis; it is back when this returns.
        clients: how many people there are.
        around: seconds of load before the fault and after the recovery.

    Returns:
        Whether something was not as it should be.
    """
    crowd = Crowd(server.url, clients)
    workers = server.workers()
    with crowd.acting():
        time.sleep(around)
        began = time.monotonic()
        fault(redis)
        back = time.monotonic()
        time.sleep(RECOVERY + around)
    recovered = crowd.answers.last(503) - back
    print(f"Redis was away for {back - began:.1f} s; last 503 {recovered:+.2f} s from its return")
    if recovered > RECOVERY:
        crowd.answers.wrong.append(f"recovered {recovered:.1f} s after Redis")
    if server.workers() != workers:
        crowd.answers.wrong.append("a worker ended")
    lossy = ("login", "logout", "write") if fault is unplugged else ()
    crowd.judge(began, lossy)
    return crowd.complain()


def price(redis: EmbeddedRedis) -> bool:
    """Print how long a write takes, for one who writes alone and for each of 16."""
    client = connect(redis.url)
    limits = Limits(3600, 3600)
    store = SessionStore(client, limits, limits, 50)

    def write(_: int) -> float:
        started = time.perf_counter()
        store.create(Metadata(None, False, "", ""), {"key": b"value"}, new_locator())
        return time.perf_counter() - started

    for policy in ("everysec", "always"):
        client.config_set("appendfsync", policy)
        for writers in (1, 16):
            started = time.perf_counter()
            with ThreadPoolExecutor(writers) as pool:
                took = statistics.median(pool.map(write, range(WRITES)))
            rate = WRITES / (time.perf_counter() - started)
            print(f"{policy:9} {writers:2} at a time: {took * 1e6:5.0f} µs each, {rate:5.0f}/s")
    return False


def main() -> int:
    """Start everything, measure, and leave nothing behind."""
    parser = argparse.ArgumentParser(prog="python -m kits.races.outages")
    parser.add_argument("kind", choices=[*FAULTS, "price"])
    kind = parser.parse_args().kind
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="coatcheck-outages-")))
        redis = stack.enter_context(EmbeddedRedis(directory / "redis"))
        if kind == "price":
            return price(redis)
        postgres = stack.enter_context(Postgres(directory / "postgres", durable=False))
        migrate(postgres.url)
        environ = {
            "COATCHECK_ENV": "testing",
            "COATCHECK_THROTTLING": "off",
            "COATCHECK_SESSIONS_PER_ACCOUNT": "1000",
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.url,
        }
        server = stack.enter_context(gunicorn(directory, environ, workers=3))
        return run(redis, server, FAULTS[kind])


if __name__ == "__main__":
    sys.exit(main())
