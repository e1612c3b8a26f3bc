"""The one path to a session, whatever the way in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from service.sessions.ids import SessionId
from service.sessions.record import Record
from service.web.services import services_of
from tests.passwords import BOB, PASSWORD

OTHER = "a new one entirely"
MINUTE = 60_000  # milliseconds


def record_of(app: Flask, client: FlaskClient) -> Record:
    cookie = client.get_cookie("session")
    assert cookie is not None
    session_id = SessionId.parse(cookie.value)
    assert session_id is not None
    record = services_of(app).session_store.read(session_id)
    assert record is not None
    return record


@pytest.fixture
def bob(app: Flask) -> FlaskClient:
    client = app.test_client()
    assert client.post("/api/v1/accounts", json=BOB).status_code == 201
    return client


@pytest.mark.parametrize(
    "enter",
    [
        lambda client: client.post("/api/v1/sessions", json=BOB),
        lambda client: client.post("/login", data=BOB),
        lambda client: client.post("/api/v1/accounts", json=BOB | {"username": "Ada"}),
        lambda client: client.post("/register", data=BOB | {"username": "Ada"}),
    ],
)
@pytest.mark.usefixtures("bob")
def test_every_session_says_how_and_when_its_user_authenticated(
    app: Flask, enter: Callable[[FlaskClient], Any]
) -> None:
    client = app.test_client()
    assert enter(client).status_code in (201, 303)
    record = record_of(app, client)
    assert record.metadata.methods == ("password",)
    assert record.authenticated_at == record.created


def test_an_anonymous_session_says_that_nobody_did(app: Flask) -> None:
    client = app.test_client()
    client.patch("/api/v1/sessions/current/data", json={"basket": 1})
    record = record_of(app, client)
    assert record.metadata.methods == ()
    assert (record.metadata.address, record.metadata.user_agent) == ("", "")


def test_a_password_change_says_that_its_user_authenticated_again(
    app: Flask, bob: FlaskClient, redis: Redis
) -> None:
    before = record_of(app, bob)
    key = f"coatcheck:{{{before.id.locator}}}:session:{before.id.digest}"
    redis.hincrby(key, "created", -MINUTE)
    body = {"current_password": PASSWORD, "new_password": OTHER}
    assert bob.put("/api/v1/account/password", json=body).status_code == 204
    after = record_of(app, bob)
    assert after.created == before.created - MINUTE
    assert after.authenticated_at >= before.created
    assert after.metadata == before.metadata
