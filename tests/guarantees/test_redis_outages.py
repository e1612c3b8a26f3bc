"""G10: an outage of Redis is not a logout. `python -m kits.races.outages` breaks it for longer."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from service.embedded import RedisEngine
from tests.servers import Server, gunicorn
from tests.session_clients import SessionClients

CLIENTS = 6
AROUND = 1.0  # seconds of load before the outage, and after the recovery
RECOVERY = 3.0  # seconds from Redis's return to the last 503


def hang(redis: RedisEngine) -> None:
    redis.process.send_signal(signal.SIGSTOP)
    time.sleep(2)
    redis.process.send_signal(signal.SIGCONT)


def crash(redis: RedisEngine) -> None:
    redis.kill()
    time.sleep(0.5)
    redis.start()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisEngine]:
    with RedisEngine(tmp_path / "redis") as engine:
        yield engine


@pytest.fixture
def own_server(
    environ: dict[str, str],
    own_redis: RedisEngine,
    database: psycopg.Connection,
    tmp_path: Path,
) -> Iterator[Server]:
    more = {"COATCHECK_SESSIONS_PER_ACCOUNT": "1000", "REDIS_URL": own_redis.url}
    with gunicorn(tmp_path, {**environ, **more}) as server:
        yield server


@pytest.mark.parametrize("outage", [hang, crash])
def test_g10_every_response_is_quick_and_every_session_outlives_the_outage(
    own_redis: RedisEngine, own_server: Server, outage: Callable[[RedisEngine], None]
) -> None:
    """Only success and 503 occur, no cookie is deleted, and no worker restarts."""
    clients = SessionClients(own_server.url, CLIENTS)
    workers = own_server.workers()
    with clients.running():
        time.sleep(AROUND)
        began = time.monotonic()
        outage(own_redis)
        back = time.monotonic()
        time.sleep(RECOVERY + AROUND)
    assert clients.judge(began).violations == []
    assert clients.last(503) - back <= RECOVERY
    assert own_server.workers() == workers
