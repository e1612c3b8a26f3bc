"""What views of an application use: who is signed in, signing in and out, protected views."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from blinker import Signal
from flask import Flask, session
from flask.testing import FlaskClient

import service
from config import Settings
from service import (
    Coatcheck,
    current_account,
    regenerate,
    require_recent_sign_in,
    require_sign_in,
    sign_in,
    sign_out,
)
from service.audit.entry import COMMAND_LINE
from service.errors import NoSuchAccount
from service.web.services import services_of
from tests.passwords import BOB, PASSWORD

PAGE = {"Accept": "text/html"}


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    app = Flask(__name__)

    @app.get("/who")
    def who() -> str:
        return current_account.username if current_account else "nobody"

    @app.get("/members")
    @require_sign_in
    def members() -> str:
        return f"hello {current_account.username}"

    @app.post("/members")
    @require_sign_in
    def change() -> str:
        return "changed"

    @app.get("/danger")
    @require_recent_sign_in
    def danger() -> str:
        return "done"

    @app.post("/trust/<username>")
    def trust(username: str) -> str:
        try:
            sign_in(username, remember=True)
        except NoSuchAccount:
            return "no such account"
        return current_account.username

    @app.post("/leave")
    def leave() -> str:
        sign_out()
        return str(bool(current_account))

    @app.post("/regenerate")
    def renew() -> str:
        session["kept"] = "yes"
        regenerate()
        return ""

    @app.get("/kept")
    def kept() -> str:
        return session["kept"]

    Coatcheck(app, settings)
    yield app
    services_of(app).close()


def cookie(client: FlaskClient) -> str | None:
    found = client.get_cookie("session")
    return found.value if found else None


def test_the_public_names_are_all_there_is() -> None:
    assert set(service.__all__) == {
        *("Coatcheck", "create_app", "cross_site_exempt", "current_account", "regenerate"),
        *("require_recent_sign_in", "require_sign_in", "sign_in", "sign_out"),
        *("account_deleted", "password_changed", "registered", "signed_in", "signed_out"),
    }


def test_the_current_account_is_false_until_somebody_signs_in(client: FlaskClient) -> None:
    assert client.get("/who").text == "nobody"
    client.post("/api/v1/accounts", json=BOB)
    assert client.get("/who").text == "Bob"


def test_people_who_are_not_signed_in_go_to_the_form_and_come_back(client: FlaskClient) -> None:
    client.application.test_client().post("/api/v1/accounts", json=BOB)
    sent = client.get("/members?page=2", headers=PAGE)
    assert (sent.status_code, sent.location) == (303, "/login?next=/members?page%3D2")
    form = {"username": "Bob", "password": PASSWORD, "next": "/members?page=2"}
    back = client.post("/login", data=form)
    assert back.location == "/members?page=2"
    assert client.get("/members").text == "hello Bob"


def test_programs_and_forms_without_a_user_get_401(client: FlaskClient) -> None:
    assert client.get("/members").status_code == 401
    assert client.post("/members", headers=PAGE).status_code == 401


def test_danger_needs_a_proof_that_is_fresh(
    bob: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bob.get("/danger").text == "done"
    monkeypatch.setattr(services_of(app).fresh_proof, "_longest", -1)
    refused = bob.get("/danger")
    assert refused.json is not None
    assert (refused.status_code, refused.json["code"]) == (403, "step_up_required")
    assert bob.get("/danger", headers=PAGE).location == "/login?next=/danger"
    assert bob.get("/members").status_code == 200


def test_an_application_signs_in_whom_it_knows_under_a_new_id(bob: FlaskClient, app: Flask) -> None:
    client = app.test_client()
    client.post("/regenerate")
    planted = cookie(client)
    assert client.post("/trust/BOB").text == "Bob"
    assert cookie(client) not in (None, planted)
    assert client.get("/who").text == "Bob"
    activity = client.get("/api/v1/account/activity").json
    assert activity is not None
    assert activity["activity"][0]["methods"] == ["application"]


def test_it_cannot_sign_in_to_an_account_that_is_missing_or_disabled(
    bob: FlaskClient, app: Flask
) -> None:
    services_of(app).revocation.disable("bob", COMMAND_LINE)
    assert bob.post("/trust/nobody").text == "no such account"
    assert bob.post("/trust/bob").text == "no such account"
    assert bob.get("/who").text == "nobody"


def test_signing_out_ends_the_session(bob: FlaskClient, app: Flask) -> None:
    before = cookie(bob)
    assert before
    assert bob.post("/leave").text == "False"
    assert cookie(bob) is None
    bob.set_cookie("session", before)
    assert bob.get("/who").text == "nobody"


def test_regenerating_keeps_everything_but_the_id(bob: FlaskClient) -> None:
    before = cookie(bob)
    bob.post("/regenerate")
    assert before != cookie(bob)
    assert (bob.get("/kept").text, bob.get("/who").text) == ("yes", "Bob")
    bob.set_cookie("session", before or "")
    assert bob.get("/who").text == "nobody"


@pytest.fixture
def heard() -> Iterator[list[tuple[str, str]]]:
    """What the signals say: name and account."""
    found: list[tuple[str, str]] = []
    listeners = []
    for name in ("registered", "signed_in", "signed_out", "password_changed", "account_deleted"):
        signal: Signal = getattr(service, name)

        def listen(_: Flask, account: Any, name: str = name) -> None:
            found.append((name, account.username))

        signal.connect(listen)
        listeners.append((signal, listen))
    yield found
    for signal, listener in listeners:
        signal.disconnect(listener)


def test_signals_tell_what_happens(client: FlaskClient, heard: list[tuple[str, str]]) -> None:
    client.post("/api/v1/accounts", json=BOB)
    new = "another good horse"
    changed = {"current_password": PASSWORD, "new_password": new}
    assert client.put("/api/v1/account/password", json=changed).status_code == 204
    client.post("/logout")
    client.post("/login", data={"username": "bob", "password": new})
    client.post("/account/delete", data={"password": new})
    assert [name for name, _ in heard] == [
        *("registered", "signed_in", "password_changed", "signed_out", "signed_in"),
        *("signed_out", "account_deleted"),
    ]
    assert {account for _, account in heard} == {"Bob"}
