"""`session.clear()`, by which users of Flask sign somebody out, and in (as its tutorial does)."""

from __future__ import annotations

import pytest
from flask import Flask, session
from flask.testing import FlaskClient

import service
from service.errors import SessionStoreUnavailable
from service.web.services import services_of
from tests.passwords import BOB


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    @app.post("/set/<value>")
    def set_it(value: str) -> str:
        session["user_id"] = value
        return ""

    @app.get("/get")
    def get() -> str:
        return session.get("user_id", "nothing")

    @app.post("/clear")
    def clear() -> str:
        session.clear()
        return f"{session.new} {session.get('user_id')} {bool(service.current_account)}"

    @app.post("/log-in/<value>")
    def log_in(value: str) -> str:
        session.clear()
        session["user_id"] = value
        return ""

    @app.post("/sign-in")
    def sign_in() -> str:
        session.clear()
        service.sign_in("bob")
        return service.current_account.username

    return app.test_client()


def cookie(client: FlaskClient) -> str | None:
    found = client.get_cookie("session")
    return found.value if found else None


def test_a_cleared_session_has_ended_and_its_cookie_is_gone(client: FlaskClient) -> None:
    client.post("/set/1")
    before = cookie(client)
    assert before
    assert client.post("/clear").text == "True None False"
    assert cookie(client) is None
    client.set_cookie("session", before)
    assert client.get("/get").text == "nothing"


def test_what_is_set_after_clearing_begins_a_session_with_a_new_id(client: FlaskClient) -> None:
    """Otherwise whoever planted the cookie would share the session after the login."""
    client.post("/set/planted")
    planted = cookie(client)
    client.post("/log-in/7")
    assert cookie(client) not in (None, planted)
    assert client.get("/get").text == "7"
    client.set_cookie("session", planted or "")
    assert client.get("/get").text == "nothing"


def test_clearing_signs_out_and_the_owner_can_read_that_it_did(client: FlaskClient) -> None:
    client.post("/api/v1/accounts", json=BOB)
    heard = []

    def listen(_: Flask, account: object) -> None:
        heard.append(account)

    service.signed_out.connect(listen)
    assert client.post("/clear").text == "True None False"
    service.signed_out.disconnect(listen)
    assert len(heard) == 1
    assert client.get("/auth/verify").status_code == 401
    client.post("/sign-in")
    found = client.get("/api/v1/account/activity").json
    assert found is not None
    events = [entry["event"] for entry in found["activity"]]
    assert events == ["signed_in", "signed_out", "signed_in", "registered"]


def test_signing_in_after_clearing_ends_the_session_before(client: FlaskClient) -> None:
    client.post("/api/v1/accounts", json=BOB)
    before = cookie(client)
    assert client.post("/sign-in").text == "Bob"
    assert client.get("/auth/verify").status_code == 200
    client.set_cookie("session", before or "")
    assert client.get("/auth/verify").status_code == 401


def test_clearing_without_a_session_leaves_nothing(client: FlaskClient) -> None:
    response = client.post("/clear")
    assert response.text == "True None False"
    assert "Set-Cookie" not in response.headers


def test_a_session_that_could_not_be_ended_keeps_its_cookie(
    client: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise SessionStoreUnavailable

    client.post("/set/1")
    before = cookie(client)
    with monkeypatch.context() as broken:
        broken.setattr(services_of(app).session_store, "revoke", fail)
        assert client.post("/clear").status_code == 503
    assert cookie(client) == before
    assert client.get("/get").text == "1"
