"""What a request costs Redis: G11, reading is free of writes."""

from __future__ import annotations

import secrets

from flask import Flask
from redis import Redis

BOB = {"username": "Bob", "password": "correct horse battery"}


def commands(redis: Redis) -> dict[str, int]:
    """How often each command was called since the last CONFIG RESETSTAT, less the test's own and
    the introductions of new connections."""
    stats = redis.info("commandstats")
    own = {"cmdstat_info", "cmdstat_config", "cmdstat_config|resetstat", "cmdstat_client"}
    return {name[8:]: stat["calls"] for name, stat in stats.items() if name not in own}


def test_g11_a_thousand_anonymous_views_send_redis_nothing(app: Flask, redis: Redis) -> None:
    client = app.test_client()
    redis.config_resetstat()
    for _ in range(250):
        for path in ("/", "/login", "/register", "/api/v1/sessions/current"):
            client.get(path)
    assert commands(redis) == {}
    assert redis.dbsize() == 0


def test_g11_a_thousand_invented_ids_leave_nothing_in_redis(app: Flask, redis: Redis) -> None:
    client = app.test_client()
    redis.config_resetstat()
    for _ in range(500):
        client.set_cookie("session", secrets.token_urlsafe(41)[:55])
        assert client.get("/api/v1/sessions/current").status_code == 401
        assert client.get("/login").status_code == 200
    assert commands(redis) == {"hgetall": 500}
    assert redis.dbsize() == 0


def test_g11_an_authenticated_read_is_one_command_and_one_touch_a_minute(
    app: Flask, redis: Redis
) -> None:
    client = app.test_client()
    reads = 2_000
    client.post("/api/v1/accounts", json=BOB)
    redis.config_resetstat()
    writes = redis.info("persistence")["rdb_changes_since_last_save"]
    for _ in range(reads):
        assert client.get("/api/v1/sessions/current").status_code == 200
    assert commands(redis) == {"hgetall": reads}
    assert redis.info("persistence")["rdb_changes_since_last_save"] == writes
