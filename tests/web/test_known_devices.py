"""The cookie with the marks of known devices, and what nobody gains by it. G14."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from unittest.mock import patch

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from config import Settings
from service import create_app
from service.accounts import known_devices
from service.accounts.repository import AccountRepository
from service.web.services import services_of
from tests.passwords import ANOTHER_PASSWORD, BOB, PASSWORD
from tests.web.devices import with_cookie

ADA = {"username": "Ada", "password": PASSWORD}
WRONG = "another password"
ALLOWANCE = 20  # guesses on a known device
TIMEOUT = 30  # seconds


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings.model_copy(update={"throttling": True}))
    app.testing = True
    yield app
    services_of(app).close()


def device(client: FlaskClient) -> str | None:
    """The cookie with the marks."""
    found = client.get_cookie("device")
    return found.value if found else None


def on_device(app: Flask, marks: str | None) -> FlaskClient:
    """A client with these marks that is not signed in."""
    assert marks
    client = app.test_client()
    client.set_cookie("device", marks)
    return client


def sign_in(client: FlaskClient, who: dict[str, str], address: str = "192.0.2.1") -> TestResponse:
    return client.post("/api/v1/sessions", json=who, environ_overrides={"REMOTE_ADDR": address})


def guesses(client: FlaskClient, who: dict[str, str], address: str = "192.0.2.1") -> int:
    """How many guesses are answered before one is refused."""
    for number in range(ALLOWANCE * 3):
        if sign_in(client, who | {"password": WRONG}, address).status_code == 429:
            return number
    raise AssertionError("there is no limit")


def known(database: psycopg.Connection) -> int:
    """The number of marks that count."""
    query = "SELECT FROM known_devices JOIN accounts ON account_id = id AND"
    return database.execute(
        f"{query} known_devices.session_epoch = accounts.session_epoch"
    ).rowcount


def revoke(client: FlaskClient, way: str) -> int:
    """The status of a request that signs out other devices, or all of them."""
    if way == "page":
        return client.post("/account/sessions/revoke-others").status_code
    return client.delete(f"/api/v1/sessions?scope={way}").status_code


@pytest.mark.parametrize("way", ["others", "all", "page"])
def test_a_stolen_session_earns_no_mark(
    app: Flask, bob: FlaskClient, database: psycopg.Connection, way: str
) -> None:
    session = bob.get_cookie("session")
    assert session
    thief = with_cookie(app, session.value)
    assert revoke(thief, way) in (200, 303)
    assert device(thief) is None
    assert known(database) == 0


@pytest.mark.parametrize("way", ["others", "all", "page"])
def test_a_known_device_that_signs_out_stays_known_and_gets_no_further_guesses(
    app: Flask, bob: FlaskClient, way: str
) -> None:
    marks = device(bob)
    assert guesses(on_device(app, marks), BOB) == ALLOWANCE
    assert revoke(bob, way) in (200, 303)
    assert device(bob) == marks
    assert guesses(on_device(app, marks), BOB) == 0


def test_nobody_locks_the_owner_out_of_the_device_on_which_all_were_signed_out(
    app: Flask, bob: FlaskClient
) -> None:
    assert bob.delete("/api/v1/sessions?scope=all").status_code == 200
    for number in range(ALLOWANCE):
        guesses(app.test_client(), BOB, f"198.51.100.{number}")
    assert sign_in(app.test_client(), BOB, "203.0.113.1").status_code == 429
    assert sign_in(bob, BOB, "203.0.113.1").status_code == 201


def test_signing_in_to_another_account_gives_no_further_guesses(
    app: Flask, bob: FlaskClient
) -> None:
    """Whoever has stolen a mark does not renew it with an account of his own, nor rob its owner."""
    marks = device(bob)
    thief = on_device(app, marks)
    assert thief.post("/api/v1/accounts", json=ADA).status_code == 201
    for _ in range(2):
        guesses(thief, BOB)
        assert guesses(on_device(app, marks), BOB) == 0
        assert thief.delete("/api/v1/sessions?scope=all").status_code == 200
        assert sign_in(thief, ADA).status_code == 201
    assert device(thief).split(".")[0] == marks
    assert device(bob) == marks


def test_two_people_who_share_a_browser_are_both_known(app: Flask, bob: FlaskClient) -> None:
    bob.post("/api/v1/accounts", json=ADA)
    for number in range(ALLOWANCE):
        for who in (BOB, ADA):
            guesses(app.test_client(), who, f"198.51.100.{number}")
    for who in (BOB, ADA):
        assert sign_in(app.test_client(), who, "203.0.113.1").status_code == 429
        assert sign_in(bob, who, "203.0.113.1").status_code == 201


@pytest.mark.parametrize("proof", ["sign-in", "password", "page", "step-up"])
def test_every_proof_of_the_password_earns_a_mark(app: Flask, bob: FlaskClient, proof: str) -> None:
    bob.delete_cookie("device")
    change = {"current_password": PASSWORD, "new_password": ANOTHER_PASSWORD}
    match proof:
        case "sign-in":
            sign_in(bob, BOB)
        case "password":
            bob.put("/api/v1/account/password", json=change)
        case "page":
            bob.post("/account/password", data=change)
        case "step-up":
            bob.post("/api/v1/sessions/current/step-up", json={"password": PASSWORD})
    assert guesses(on_device(app, device(bob)), BOB) == ALLOWANCE


def test_a_new_password_gives_the_device_a_new_mark(app: Flask, bob: FlaskClient) -> None:
    """Somebody else may have copied the old one."""
    old = device(bob)
    change = {"current_password": PASSWORD, "new_password": ANOTHER_PASSWORD}
    assert bob.put("/api/v1/account/password", json=change).status_code == 204
    new = device(bob)
    assert new
    assert len(known_devices.parse(new)) == 1
    assert new != old


@pytest.mark.parametrize("way", ["others", "page"])
def test_a_revocation_under_way_during_a_password_change_earns_no_mark(
    app: Flask, bob: FlaskClient, database: psycopg.Connection, way: str
) -> None:
    """The thief's request has revoked, and is held until the owner has a new password."""
    owner = app.test_client()
    sign_in(owner, BOB)
    thief = with_cookie(app, owner.get_cookie("session").value)  # type: ignore[union-attr]
    revoked, changed = threading.Event(), threading.Event()
    original = AccountRepository.revoke_sessions

    def slow(*arguments: object) -> object:
        account = original(*arguments)  # type: ignore[arg-type]
        revoked.set()
        assert changed.wait(TIMEOUT)
        return account

    with patch.object(AccountRepository, "revoke_sessions", slow):
        theft = threading.Thread(target=revoke, args=(thief, way))
        theft.start()
        assert revoked.wait(TIMEOUT)
        change = {"current_password": PASSWORD, "new_password": ANOTHER_PASSWORD}
        assert owner.put("/api/v1/account/password", json=change).status_code == 204
        changed.set()
        theft.join(TIMEOUT)
    assert device(thief) is None
    assert guesses(on_device(app, device(owner)), BOB) == ALLOWANCE
    assert known(database) == 1


def test_nobody_who_is_signed_in_fills_the_tables_with_changes(app: Flask) -> None:
    """Each ending of other sessions leaves rows in Postgres, although it needs no password."""
    bob = app.test_client()
    assert bob.post("/api/v1/accounts", json=BOB).status_code == 201
    statuses = [revoke(bob, "others") for _ in range(32)]
    assert statuses == [200] * 30 + [429] * 2
    assert revoke(bob, "page") == 429
