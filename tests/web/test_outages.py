"""What is still served while a store is down, full or slow."""

from __future__ import annotations

import time

import flask
import psycopg
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from config import Settings
from service import create_app
from service.embedded import RedisEngine
from service.web.services import services_of
from tests.faults import frozen
from tests.passwords import BOB
from tests.web.checks import problem


def test_with_the_session_store_down_registering_still_succeeds(
    settings: Settings, database: psycopg.Connection
) -> None:
    """A client would repeat a request that failed, and get "taken"."""
    app = create_app(settings.model_copy(update={"redis_url": "unix:///nowhere/redis.sock"}))
    client = app.test_client()
    response = client.post("/api/v1/accounts", json=BOB)
    assert response.status_code == 201
    assert response.json["session"] is None
    assert "Set-Cookie" not in response.headers
    login = client.post("/api/v1/sessions", json=BOB)
    services_of(app).close()
    problem(login, 503, "unavailable")
    assert login.headers["Retry-After"] == "1"


def test_an_outage_is_not_a_logout(bob: FlaskClient, settings: Settings) -> None:
    """G10: not even when the request was to sign out."""
    app = create_app(settings.model_copy(update={"redis_url": "unix:///nowhere/redis.sock"}))
    client = app.test_client()
    client.set_cookie("session", bob.get_cookie("session").value)
    for answer in (
        client.get("/api/v1/sessions/current"),
        client.delete("/api/v1/sessions/current"),
    ):
        problem(answer, 503, "unavailable")
        assert answer.headers["Retry-After"]
        assert "Set-Cookie" not in answer.headers


def test_a_session_that_cannot_be_saved_is_a_503_and_not_a_success(
    app: Flask, redis: Redis
) -> None:
    """G10: a write that Redis did not take is not acknowledged."""

    @app.post("/remember/<value>")
    def remember(value: str) -> tuple[str, int]:
        flask.session["value"] = value
        return "remembered", 201

    client = app.test_client()
    client.post("/remember/this")
    redis.config_set("maxmemory", "1")
    try:
        answers = [client.post("/remember/that"), app.test_client().post("/remember/new")]
    finally:
        redis.config_set("maxmemory", "0")
    for answer in answers:
        problem(answer, 503, "unavailable")
        assert answer.headers["Retry-After"] == "1"
        assert "Set-Cookie" not in answer.headers
    with client.session_transaction() as session:
        assert session["value"] == "this"


def test_without_the_username_cache_registering_goes_on(settings: Settings) -> None:
    """G5: Redis is never the authority on names."""
    app = create_app(settings.model_copy(update={"cache_redis_url": "unix:///nowhere/redis.sock"}))
    client = app.test_client()
    assert client.post("/api/v1/accounts", json=BOB).status_code == 201
    problem(client.post("/api/v1/accounts", json=BOB), 409, "username_taken")
    assert client.get("/api/v1/usernames/bob").json["reason"] == "taken"
    services_of(app).close()


def test_without_postgres_a_hot_duplicate_is_still_409_and_anything_else_503(
    bob: FlaskClient, settings: Settings
) -> None:
    """G12: what needs no Postgres goes on without it."""
    nowhere = "postgresql://nobody@localhost:1/nowhere"
    app = create_app(settings.model_copy(update={"database_url": nowhere}))
    client = app.test_client()
    problem(client.post("/api/v1/accounts", json=BOB), 409, "username_taken")
    new = client.post("/api/v1/accounts", json=BOB | {"username": "Ada"})
    services_of(app).close()
    problem(new, 503, "unavailable")
    client.set_cookie("session", bob.get_cookie("session").value)
    assert client.get("/api/v1/sessions/current").status_code == 200


def test_a_full_redis_stops_no_registration(app: Flask, redis: Redis) -> None:
    """G5: Redis is never the authority on names."""
    redis.config_set("maxmemory", "1")
    try:
        response = app.test_client().post("/api/v1/accounts", json=BOB)
    finally:
        redis.config_set("maxmemory", "0")
    assert response.status_code == 201
    assert response.json["session"] is None
    problem(app.test_client().post("/api/v1/accounts", json=BOB), 409, "username_taken")


def test_a_redis_that_never_answers_costs_a_registration_no_more_than_its_bounds(
    app: Flask, redis_engine: RedisEngine
) -> None:
    """G5: a slow Redis delays a registration, and not for long."""
    client = app.test_client()
    started = time.monotonic()
    with frozen(redis_engine):
        response = client.post("/api/v1/accounts", json=BOB)
    assert response.status_code == 201
    assert time.monotonic() - started < 3
