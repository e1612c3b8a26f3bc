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

ADA = BOB | {"username": "Ada"}
DATA = "/api/v1/sessions/current/data"
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
    client.patch(DATA, json={"basket": 1})
    record = record_of(app, client)
    assert record.metadata.methods == ()
    assert (record.metadata.address, record.metadata.user_agent) == ("", "")


@pytest.fixture
def visitor(app: Flask) -> FlaskClient:
    """A client with an anonymous session, which somebody else may have filled."""
    client = app.test_client()
    with client.session_transaction() as anonymous:
        anonymous["basket"] = ["hat"]
        anonymous["role"] = "admin"
        anonymous.permanent = True
    client.patch(DATA, json={"basket": ["coat"]})
    return client


ENTRANCES = {
    "/api/v1/sessions": lambda client: client.post("/api/v1/sessions", json=BOB),
    "/login": lambda client: client.post("/login", data=BOB),
    "/api/v1/accounts": lambda client: client.post("/api/v1/accounts", json=ADA),
    "/register": lambda client: client.post("/register", data=ADA),
}


def held(client: FlaskClient) -> dict[str, Any]:
    with client.session_transaction() as session:
        return dict(session)


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.usefixtures("bob")
def test_nothing_of_an_anonymous_session_is_carried_into_a_sign_in(
    visitor: FlaskClient, entrance: str
) -> None:
    """G15: whoever planted the cookie does not fill the session of its victim."""
    assert ENTRANCES[entrance](visitor).status_code in (201, 303)
    assert held(visitor) == {}
    assert visitor.get(DATA).json == {}


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.usefixtures("bob")
def test_the_keys_that_the_application_names_are_carried_into_a_sign_in(
    app: Flask, visitor: FlaskClient, entrance: str
) -> None:
    app.config["SESSION_KEYS_KEPT_AT_SIGN_IN"] = ("basket", "note")
    old = visitor.get_cookie("session")
    assert old is not None
    assert ENTRANCES[entrance](visitor).status_code in (201, 303)
    assert held(visitor) == {"basket": ["hat"]}
    assert visitor.get(DATA).json == {}
    visitor.set_cookie("session", old.value)
    assert held(visitor) == {}


def test_what_an_account_keeps_is_not_carried_into_the_next(app: Flask, bob: FlaskClient) -> None:
    app.config["SESSION_KEYS_KEPT_AT_SIGN_IN"] = ("basket",)
    with bob.session_transaction() as session:
        session["basket"] = ["hat"]
    assert bob.post("/api/v1/accounts", json=ADA).status_code == 201
    assert held(bob) == {}


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
