"""G10: an outage of Redis is not a logout. `python -m kits.races.outages` breaks it for longer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from service.embedded import RedisEngine
from tests.conditions import eventually
from tests.faults import frozen
from tests.servers import Server, gunicorn
from tests.session_clients import SessionClients

pytestmark = pytest.mark.xdist_group("outages")  # they share a Redis and a server

CLIENTS = 6
SIGNED_OUT = 204
RECOVERY = 3.0  # seconds from Redis's return to the last 503


@contextmanager
def crash(redis: RedisEngine) -> Iterator[None]:
    redis.kill()
    yield
    redis.start()


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisEngine]:
    with RedisEngine(tmp_path_factory.mktemp("outages") / "redis") as engine:
        yield engine


@pytest.fixture(scope="module")
def own_server(
    environ: dict[str, str],
    own_redis: RedisEngine,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    more = {"COATCHECK_SESSIONS_PER_ACCOUNT": "1000", "REDIS_URL": own_redis.url}
    with gunicorn(tmp_path_factory.mktemp("gunicorn"), {**environ, **more}) as server:
        yield server


@pytest.mark.parametrize(("outage", "failures"), [(frozen, 2), (crash, 10)])
def test_every_response_is_quick_and_every_session_outlives_the_outage(
    own_redis: RedisEngine,
    own_server: Server,
    outage: Callable[[RedisEngine], AbstractContextManager[None]],
    failures: int,
) -> None:
    """G10: an outage is not a logout. Only success and 503 occur, no cookie is deleted, and no
    worker restarts."""
    clients = SessionClients(own_server.url, CLIENTS)
    workers = own_server.workers()
    with clients.running():
        eventually(lambda: clients.each_got(SIGNED_OUT, times=1))
        began = time.monotonic()
        with outage(own_redis):
            eventually(lambda: clients.each_got(503, times=failures, since=began))
        back = time.monotonic()
        eventually(lambda: clients.each_got(SIGNED_OUT, times=2, since=back), within=20)
    assert clients.judge(began).violations == []
    assert clients.last(503) - back <= RECOVERY
    assert own_server.workers() == workers
