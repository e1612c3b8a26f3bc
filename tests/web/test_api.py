from __future__ import annotations

import os
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flask
import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from nacl.pwhash import argon2id
from redis import Redis
from werkzeug.test import TestResponse

from config import Settings
from service import create_app
from service.embedded import RedisEngine
from service.errors import DatabaseUnavailable
from service.web.services import services_of
from tests.conditions import eventually

BOB = {"username": "Bob", "password": "correct horse battery"}
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def registered(client: FlaskClient) -> FlaskClient:
    """A client of somebody who is registered and signed in."""
    assert client.post("/api/v1/accounts", json=BOB).status_code == 201
    return client


def problem(response: object, status: int, code: str) -> None:
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    body = response.get_json(force=True)
    assert body["status"] == status
    assert body["code"] == code
    assert {"type", "title", "detail"} <= set(body)


def test_registering_signs_in(client: FlaskClient) -> None:
    response = client.post("/api/v1/accounts", json=BOB)
    assert response.status_code == 201
    account, session = response.json["account"], response.json["session"]
    assert account["username"] == "Bob"
    assert RFC3339.fullmatch(account["created_at"])
    assert session["current"] is True
    assert re.fullmatch("[0-9a-f]{64}", session["handle"])
    assert client.get("/api/v1/sessions/current").json == response.json


def test_the_handle_of_a_session_signs_nobody_in(registered: FlaskClient, app: Flask) -> None:
    handle = registered.get("/api/v1/sessions/current").json["session"]["handle"]
    thief = app.test_client()
    thief.set_cookie("session", handle[:55])
    problem(thief.get("/api/v1/sessions/current"), 401, "not_signed_in")


def test_a_taken_name_is_refused_in_every_spelling(registered: FlaskClient, app: Flask) -> None:
    for name in ("Bob", "bob", "BOB"):
        answer = app.test_client().post("/api/v1/accounts", json=BOB | {"username": name})
        problem(answer, 409, "username_taken")


def test_what_cannot_be_accepted_is_named_field_by_field(client: FlaskClient) -> None:
    response = client.post("/api/v1/accounts", json={"username": "x", "password": "short"})
    problem(response, 422, "invalid")
    errors = response.get_json(force=True)["errors"]
    assert [(error["field"], error["code"]) for error in errors] == [
        ("username", "too_short"),
        ("password", "too_short"),
    ]
    assert all(error["message"] for error in errors)


@pytest.mark.parametrize(
    ("name", "reason"), [("free", None), ("bob", "taken"), ("root", "reserved"), ("x", "invalid")]
)
def test_a_name_can_be_asked_for(registered: FlaskClient, name: str, reason: str | None) -> None:
    response = registered.get(f"/api/v1/usernames/{name}")
    assert response.status_code == 200
    assert response.json == {"username": name, "available": reason is None, "reason": reason}


def test_signing_in_gives_a_new_id_and_ends_the_old_session(registered: FlaskClient) -> None:
    before = registered.get_cookie("session").value
    response = registered.post("/api/v1/sessions", json=BOB)
    assert response.status_code == 201
    after = registered.get_cookie("session").value
    assert after != before
    registered.set_cookie("session", before)
    problem(registered.get("/api/v1/sessions/current"), 401, "not_signed_in")


def test_wrong_password_and_unknown_name_are_told_alike(registered: FlaskClient) -> None:
    answers = [
        registered.post("/api/v1/sessions", json=BOB | wrong)
        for wrong in ({"password": "another password"}, {"username": "nobody-has-it"})
    ]
    for answer in answers:
        problem(answer, 401, "invalid_credentials")
    assert answers[0].data == answers[1].data


def test_remember_me_outlives_the_browser(client: FlaskClient) -> None:
    response = client.post("/api/v1/accounts", json=BOB | {"remember": True})
    assert "Expires=" in response.headers["Set-Cookie"]
    response = client.post("/api/v1/sessions", json=BOB)
    assert "Expires=" not in response.headers["Set-Cookie"]


def test_signing_out_ends_the_session_and_deletes_the_cookie(registered: FlaskClient) -> None:
    kept = registered.get_cookie("session").value
    response = registered.delete("/api/v1/sessions/current")
    assert response.status_code == 204
    deleted = {part.strip() for part in response.headers["Set-Cookie"].split(";")}
    assert {"session=", "Max-Age=0", "HttpOnly", "Path=/", "SameSite=Lax"} <= deleted
    registered.set_cookie("session", kept)
    problem(registered.get("/api/v1/sessions/current"), 401, "not_signed_in")


def test_signing_out_works_when_there_is_nothing_to_sign_out_of(client: FlaskClient) -> None:
    assert client.delete("/api/v1/sessions/current").status_code == 204


def test_what_an_anonymous_session_held_is_there_after_signing_in(
    app: Flask, client: FlaskClient
) -> None:
    with client.session_transaction() as anonymous:
        anonymous["basket"] = ["hat"]
    old = client.get_cookie("session").value
    client.post("/api/v1/accounts", json=BOB)
    with client.session_transaction() as signed_in:
        assert signed_in["basket"] == ["hat"]
    client.set_cookie("session", old)
    with client.session_transaction() as gone:
        assert gone.new


def test_what_one_account_held_is_not_handed_to_the_next(
    app: Flask, registered: FlaskClient
) -> None:
    with registered.session_transaction() as bobs:
        bobs["basket"] = ["hat"]
    registered.post("/api/v1/accounts", json=BOB | {"username": "Ada"})
    with registered.session_transaction() as adas:
        assert "basket" not in adas


def test_in_production_the_cookie_is_bound_to_host_and_tls(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"env": "production"}))
    response = app.test_client().post("/api/v1/accounts", json=BOB, base_url="https://example.org")
    services_of(app).close()
    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith("__Host-session=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= {
        part.strip() for part in cookie.split(";")
    }
    assert "Domain" not in cookie


def test_with_the_session_store_down_registering_still_succeeds(
    settings: Settings, database: psycopg.Connection
) -> None:
    """An error would be repeated by the client, and the repetition told "taken"."""
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


def test_an_outage_is_not_a_logout(registered: FlaskClient, settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"redis_url": "unix:///nowhere/redis.sock"}))
    client = app.test_client()
    client.set_cookie("session", registered.get_cookie("session").value)
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
    app = create_app(settings.model_copy(update={"cache_redis_url": "unix:///nowhere/redis.sock"}))
    client = app.test_client()
    assert client.post("/api/v1/accounts", json=BOB).status_code == 201
    problem(client.post("/api/v1/accounts", json=BOB), 409, "username_taken")
    assert client.get("/api/v1/usernames/bob").json["reason"] == "taken"
    services_of(app).close()


def test_without_postgres_a_hot_duplicate_is_still_409_and_anything_else_503(
    registered: FlaskClient, settings: Settings
) -> None:
    nowhere = "postgresql://nobody@localhost:1/nowhere"
    app = create_app(settings.model_copy(update={"database_url": nowhere}))
    client = app.test_client()
    problem(client.post("/api/v1/accounts", json=BOB), 409, "username_taken")
    new = client.post("/api/v1/accounts", json=BOB | {"username": "Ada"})
    services_of(app).close()
    problem(new, 503, "unavailable")
    client.set_cookie("session", registered.get_cookie("session").value)
    assert client.get("/api/v1/sessions/current").status_code == 200


def test_an_anonymous_visitor_costs_redis_nothing(client: FlaskClient, redis: Redis) -> None:
    redis.config_resetstat()
    for path in ("/", "/login", "/register", "/healthz", "/api/v1/sessions/current"):
        client.get(path)
    assert set(redis.info("commandstats")) <= {"cmdstat_config|resetstat", "cmdstat_config"}
    assert redis.dbsize() == 0


def test_a_repeated_registration_with_its_key_is_a_success(client: FlaskClient, app: Flask) -> None:
    key = {"Idempotency-Key": "one-and-the-same"}
    first = client.post("/api/v1/accounts", json=BOB, headers=key)
    again = app.test_client().post("/api/v1/accounts", json=BOB, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json["account"] == first.json["account"]
    assert again.json["session"]["handle"] != first.json["session"]["handle"]
    stranger = app.test_client()
    answer = stranger.post("/api/v1/accounts", json=BOB | {"password": "guessed it"}, headers=key)
    problem(answer, 409, "username_taken")


def test_a_registration_that_stays_uncertain_says_how_to_repeat_it(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*_: object) -> None:
        raise DatabaseUnavailable(may_have_happened=True)

    client = app.test_client()
    with monkeypatch.context() as broken:
        broken.setattr(services_of(app).accounts, "insert", lose)
        response = client.post("/api/v1/accounts", json=BOB)
    problem(response, 503, "unavailable")
    headers = {"Idempotency-Key": response.headers["Idempotency-Key"]}
    assert client.post("/api/v1/accounts", json=BOB, headers=headers).status_code == 201


def test_metrics_tell_hashes_and_registrations(registered: FlaskClient) -> None:
    text = registered.get("/metrics").text
    assert 'coatcheck_password_hashes_total{kind="hash"}' in text
    assert 'coatcheck_registrations_total{outcome="registered"}' in text


def test_a_full_redis_stops_no_registration(app: Flask, redis: Redis) -> None:
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
    client = app.test_client()
    os.kill(redis_engine.pid, signal.SIGSTOP)
    started = time.monotonic()
    try:
        response = client.post("/api/v1/accounts", json=BOB)
    finally:
        os.kill(redis_engine.pid, signal.SIGCONT)
    assert response.status_code == 201
    assert time.monotonic() - started < 3


def test_when_no_place_to_hash_is_left_a_registration_is_refused_at_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(settings.model_copy(update={"hashing_threads": 1, "hashing_wait": 0.05}))
    hashing, go_on = threading.Event(), threading.Event()
    compute = argon2id.str

    def compute_slowly(*arguments: Any) -> bytes:
        hashing.set()
        assert go_on.wait(10)
        encoded: bytes = compute(*arguments)
        return encoded

    def register(username: str) -> TestResponse:
        return app.test_client().post("/api/v1/accounts", json=BOB | {"username": username})

    monkeypatch.setattr(argon2id, "str", compute_slowly)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(register, "Ada")
        assert hashing.wait(10)
        second = pool.submit(register, "Bob")
        client = app.test_client()
        eventually(lambda: client.get("/api/v1/usernames/bob").json["reason"] == "pending")
        since = time.monotonic()
        eventually(lambda: time.monotonic() > since + 0.1)
        go_on.set()
        assert first.result(10).status_code == 201
        response = second.result(10)
    problem(response, 503, "unavailable")
    assert response.headers["Retry-After"] == "1"
    assert client.get("/api/v1/usernames/bob").json["available"]
    services_of(app).close()
