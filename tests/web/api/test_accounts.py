from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from config import Settings
from service import create_app
from service.errors import DatabaseUnavailable
from service.web.services import services_of
from tests.conditions import elapse
from tests.hashes import held_hashes
from tests.passwords import BOB
from tests.web.checks import problem

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_registering_signs_in(client: FlaskClient) -> None:
    response = client.post("/api/v1/accounts", json=BOB)
    assert response.status_code == 201
    account, session = response.json["account"], response.json["session"]
    assert account["username"] == "Bob"
    assert RFC3339.fullmatch(account["created_at"])
    assert session["current"] is True
    assert re.fullmatch("[0-9a-f]{64}", session["handle"])
    assert client.get("/api/v1/sessions/current").json == response.json


def test_a_taken_name_is_rejected_in_every_spelling(bob: FlaskClient, app: Flask) -> None:
    for name in ("Bob", "bob", "BOB"):
        answer = app.test_client().post("/api/v1/accounts", json=BOB | {"username": name})
        problem(answer, 409, "username_taken")


def test_each_field_that_is_wrong_is_named(client: FlaskClient) -> None:
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
def test_the_availability_of_a_name_can_be_asked(
    bob: FlaskClient, name: str, reason: str | None
) -> None:
    response = bob.get(f"/api/v1/usernames/{name}")
    assert response.status_code == 200
    assert response.json == {"username": name, "available": reason is None, "reason": reason}


def test_a_repeated_registration_with_its_key_is_a_success(client: FlaskClient, app: Flask) -> None:
    key = {"Idempotency-Key": "one-and-the-same"}
    first = client.post("/api/v1/accounts", json=BOB, headers=key)
    again = app.test_client().post("/api/v1/accounts", json=BOB, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json["account"] == first.json["account"]
    assert again.json["session"]["handle"] != first.json["session"]["handle"]
    stranger = app.test_client()
    answer = stranger.post(
        "/api/v1/accounts", json=BOB | {"password": "guessed it right"}, headers=key
    )
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


def test_a_registration_whose_turn_to_hash_comes_too_late_is_503_and_frees_the_name(
    settings: Settings,
) -> None:
    app = create_app(settings.model_copy(update={"hashing_threads": 1, "hashing_wait": 0.05}))

    def register(username: str) -> TestResponse:
        return app.test_client().post("/api/v1/accounts", json=BOB | {"username": username})

    with held_hashes() as hashes, ThreadPoolExecutor() as callers:
        first = callers.submit(register, "Ada")
        hashes.await_queued()
        hashes.await_begun()
        second = callers.submit(register, "Bob")
        hashes.await_queued()
        elapse(0.1)
        hashes.go_on()
        assert first.result(10).status_code == 201
        response = second.result(10)
    problem(response, 503, "unavailable")
    assert response.headers["Retry-After"] == "1"
    assert app.test_client().get("/api/v1/usernames/bob").json["available"]
    services_of(app).close()
