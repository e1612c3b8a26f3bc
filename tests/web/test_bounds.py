"""How long a Redis that hangs may hold a request up: a second in all, however often it is asked."""

from __future__ import annotations

import time

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from config import Settings
from service import create_app
from service.embedded import RedisEngine
from service.errors import SessionStoreUnavailable
from service.sessions.ids import SessionId
from service.web.services import services_of
from tests.faults import frozen
from tests.passwords import PASSWORD
from tests.redis_engines import Group

LIMIT = 1.0  # seconds


def register(client: FlaskClient, name: str) -> tuple[int, float]:
    """The status, and how many seconds it took."""
    return ask(client, "POST", "/api/v1/accounts", {"username": name, "password": PASSWORD})


def ask(
    client: FlaskClient, method: str, path: str, body: dict[str, str] | None = None
) -> tuple[int, float]:
    started = time.monotonic()
    response = client.open(path, method=method, json=body)
    return response.status_code, time.monotonic() - started


def test_a_registration_that_asks_three_times_waits_a_second_in_all(
    app: Flask, redis_engine: RedisEngine
) -> None:
    """G5: a slow Redis delays a registration, and not for long."""
    register(app.test_client(), "first")  # which opens the connections
    _, undisturbed = register(app.test_client(), "ada")
    with frozen(redis_engine):
        status, took = register(app.test_client(), "bob")
    assert status == 201
    assert took < LIMIT + undisturbed


def test_one_request_takes_nothing_from_the_next_of_its_connection(
    app: Flask, redis_engine: RedisEngine, redis: Redis
) -> None:
    """A worker serves all requests of a connection in one context."""
    client = app.test_client()
    register(client, "ada")
    with frozen(redis_engine):
        register(app.test_client(), "bob")
    redis.client_pause(250)
    assert ask(client, "GET", "/api/v1/sessions/current")[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/v1/sessions/current", None),
        ("PATCH", "/api/v1/sessions/current/data", {"key": "value"}),
        ("DELETE", "/api/v1/sessions/current", None),
        ("POST", "/api/v1/sessions", {"username": "ada", "password": PASSWORD}),
        ("DELETE", "/api/v1/sessions?scope=others", None),
        ("GET", "/auth/verify", None),
    ],
)
def test_what_needs_a_session_waits_a_second_in_all(
    app: Flask, redis_engine: RedisEngine, method: str, path: str, body: dict[str, str] | None
) -> None:
    """G10: the time of an outage is bounded for a whole request."""
    client = app.test_client()
    _, undisturbed = register(client, "ada")
    with frozen(redis_engine):
        status, took = ask(client, method, path, body)
    assert status == 503
    assert took < LIMIT + undisturbed


def test_a_cache_that_hangs_leaves_time_to_sign_in(
    settings: Settings, redis_engine: RedisEngine, sentinel_engine: Group
) -> None:
    """Claim and publish fail; the session store, elsewhere, is well."""
    app = create_app(settings.model_copy(update={"redis_url": sentinel_engine.url}))
    client = app.test_client()
    client.post("/api/v1/accounts", json={"username": "ada", "password": PASSWORD})
    with frozen(redis_engine):
        answer = client.post("/api/v1/accounts", json={"username": "bob", "password": PASSWORD})
    services_of(app).close()
    assert answer.status_code == 201
    assert answer.json["session"]


def test_without_a_request_each_call_has_a_bound_of_its_own(
    app: Flask, redis_engine: RedisEngine
) -> None:
    """On the command line."""
    store = services_of(app).session_store
    absent = SessionId.new("A" * 12)
    with frozen(redis_engine):
        for _ in range(3):
            started = time.monotonic()
            with pytest.raises(SessionStoreUnavailable):
                store.read(absent)
            assert 0.3 < time.monotonic() - started < LIMIT
