"""What a request costs Redis: G11, reading is free of writes."""

from __future__ import annotations

import secrets

import pytest
from flask import Flask
from redis import Redis
from werkzeug.test import create_environ, run_wsgi_app

VIEWS = 80
READS, SESSIONS = 300, 10
MINUTE = 60_000  # milliseconds
CURRENT = "/api/v1/sessions/current"
NO_SESSION_NEEDED = ("/login", "/register", "/healthz", "/api/v1/nowhere")


def commands(redis: Redis) -> dict[str, int]:
    """How often each command was called since the last CONFIG RESETSTAT, less the test's own and
    the introductions of new connections."""
    stats = redis.info("commandstats")
    own = {"cmdstat_info", "cmdstat_config", "cmdstat_config|resetstat", "cmdstat_client"}
    return {name[8:]: stat["calls"] for name, stat in stats.items() if name not in own}


@pytest.fixture
def cookies(app: Flask, redis: Redis) -> list[str]:
    """The cookies of members, so that Redis is not empty; from here on it counts anew."""
    answers = [
        app.test_client().post(
            "/api/v1/accounts", json={"username": f"bob{number}", "password": "correct horse"}
        )
        for number in range(SESSIONS)
    ]
    redis.config_resetstat()
    return [answer.headers["Set-Cookie"].partition(";")[0] for answer in answers]


def invented() -> dict[str, str]:
    """A cookie of the right shape that no server has issued."""
    return {"Cookie": f"session={secrets.token_urlsafe(42)[:55]}"}


def test_anonymous_views_send_redis_nothing(app: Flask, redis: Redis, cookies: list[str]) -> None:
    """G11: anonymous visitors cost Redis nothing."""
    keys = redis.dbsize()
    redis.config_resetstat()
    client = app.test_client()
    for _ in range(VIEWS // 4):
        for path in ("/", "/login", "/register", CURRENT):
            client.get(path)
    assert commands(redis) == {}
    assert redis.dbsize() == keys


def test_invented_ids_leave_nothing_in_redis(app: Flask, redis: Redis, cookies: list[str]) -> None:
    """G11: an id that nobody issued costs one read and no write."""
    keys = redis.dbsize()
    redis.config_resetstat()
    client = app.test_client(use_cookies=False)
    for _ in range(VIEWS):
        assert client.get(CURRENT, headers=invented()).status_code == 401
    assert commands(redis) == {"hgetall": VIEWS}
    assert redis.dbsize() == keys


def test_a_view_that_needs_no_session_sends_redis_nothing(
    app: Flask, redis: Redis, cookies: list[str]
) -> None:
    """G11: a page that looks at no session costs Redis nothing, signed in or not."""
    client = app.test_client(use_cookies=False)
    for _ in range(VIEWS // 8):
        for path in NO_SESSION_NEEDED:
            client.get(path, headers=invented())
            client.get(path, headers={"Cookie": cookies[0]})
    assert commands(redis) == {}


def test_authenticated_reads_are_one_command_each_and_one_touch_a_minute(
    app: Flask, redis: Redis, cookies: list[str]
) -> None:
    """G11: reads do not write."""
    requests = [create_environ(CURRENT, headers={"Cookie": cookie}) for cookie in cookies]
    pass_a_minute(redis)
    run_wsgi_app(app, dict(requests[0]))  # which also loads the script
    pass_a_minute(redis)
    redis.config_resetstat()
    for request in requests:
        for _ in range(READS // SESSIONS):
            assert run_wsgi_app(app, dict(request))[1] == "200 OK"
    sent = commands(redis)
    assert sent.pop("hgetall") == READS
    assert sent["evalsha"] == sent["hset"] == SESSIONS
    assert max(sent.values()) == 2 * SESSIONS  # a touch moves two expiries


def pass_a_minute(redis: Redis) -> None:
    """Have every session seen so long ago."""
    sessions = [key for key in redis.scan_iter() if b":session:" in key]
    assert len(sessions) == SESSIONS
    for key in sessions:
        redis.hincrby(key, "seen", -MINUTE - 1)
