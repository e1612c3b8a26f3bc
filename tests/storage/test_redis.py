from __future__ import annotations

import time

import pytest
from redis import Redis

from service.embedded import RedisEngine
from service.errors import SessionStoreUnavailable
from service.storage.redis import connect, failing_as
from service.storage.redis_connections import RedisTimeBudget
from tests.faults import frozen


def test_a_redis_that_accepts_and_never_answers_is_an_error_within_a_second(
    redis_engine: RedisEngine,
) -> None:
    client = connect(redis_engine.url)
    started = time.monotonic()
    with (
        frozen(redis_engine),
        pytest.raises(SessionStoreUnavailable),
        failing_as(SessionStoreUnavailable),
    ):
        client.ping()
    assert time.monotonic() - started < 1.2


def test_a_connection_that_redis_dropped_is_opened_again_unnoticed(
    redis_engine: RedisEngine, redis: Redis
) -> None:
    client = connect(redis_engine.url)
    client.ping()
    redis.client_kill_filter(_type="normal", skipme=True)
    assert client.ping()


def test_an_answer_that_came_too_late_is_not_taken_for_another(
    redis_engine: RedisEngine, redis: Redis
) -> None:
    redis.mset({"first": "1", "second": "2"})
    client = connect(redis_engine.url)
    client.ping()
    with (
        frozen(redis_engine),
        pytest.raises(SessionStoreUnavailable),
        failing_as(SessionStoreUnavailable),
    ):
        client.get("first")
    for _ in range(10):
        assert client.get("second") == b"2"


def test_what_answers_slowly_uses_up_none_of_a_requests_time(
    redis_engine: RedisEngine, redis: Redis
) -> None:
    """A registration may ask for seconds how its rival is doing."""
    client = connect(redis_engine.url)
    client.ping()
    started = time.monotonic()
    with RedisTimeBudget():
        for _ in range(6):
            redis.client_pause(250)
            with failing_as(SessionStoreUnavailable):
                client.ping()
    assert time.monotonic() - started > 1.2


def test_however_often_it_fails_a_request_gives_up_within_a_second(
    redis_engine: RedisEngine,
) -> None:
    client = connect(redis_engine.url)
    started = time.monotonic()
    with frozen(redis_engine), RedisTimeBudget():
        for _ in range(20):
            with pytest.raises(SessionStoreUnavailable), failing_as(SessionStoreUnavailable):
                client.ping()
    assert time.monotonic() - started < 1.1
