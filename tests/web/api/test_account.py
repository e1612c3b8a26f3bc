from __future__ import annotations

import threading

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.sessions.record import NOWHERE
from service.web.services import services_of
from tests.passwords import BOB, PASSWORD
from tests.web.devices import DATA, another_device, cookie, status, with_cookie


def test_a_changed_password_gives_a_new_id_and_ends_every_other_session(
    app: Flask, bob: FlaskClient
) -> None:
    """G6 and G8: other devices are signed out, and this one has a new id."""
    other, old = another_device(app), cookie(bob)
    bob.patch(DATA, json={"kept": True})
    body = {"current_password": PASSWORD, "new_password": "a new one entirely"}
    assert bob.put("/api/v1/account/password", json=body).status_code == 204
    assert cookie(bob) != old
    assert bob.get(DATA).json == {"kept": True}
    assert (status(bob), status(other), status(with_cookie(app, old))) == (200, 401, 401)
    login = app.test_client()
    assert login.post("/api/v1/sessions", json=BOB).status_code == 401
    new = BOB | {"password": "a new one entirely"}
    assert login.post("/api/v1/sessions", json=new).status_code == 201


@pytest.mark.parametrize(
    ("current", "new", "expected", "code"),
    [
        ("another password", "a new one entirely", 403, "wrong_password"),
        (PASSWORD, "short", 422, "invalid"),
        ("", "a new one entirely", 403, "wrong_password"),
    ],
)
def test_a_password_change_that_is_rejected_changes_nothing(
    app: Flask, bob: FlaskClient, current: str, new: str, expected: int, code: str
) -> None:
    other = another_device(app)
    body = {"current_password": current, "new_password": new}
    response = bob.put("/api/v1/account/password", json=body)
    assert (response.status_code, response.get_json(force=True)["code"]) == (expected, code)
    assert (status(bob), status(other)) == (200, 200)


def test_a_new_password_that_is_rejected_is_named_as_the_request_names_it(
    bob: FlaskClient,
) -> None:
    body = {"current_password": PASSWORD, "new_password": "short"}
    [error] = bob.put("/api/v1/account/password", json=body).get_json(force=True)["errors"]
    assert (error["field"], error["code"]) == ("new_password", "too_short")
    assert error["message"].startswith("A password needs at least")


def test_a_wrong_current_password_is_wrong_even_if_the_new_one_is_the_real_one(
    bob: FlaskClient,
) -> None:
    """Otherwise each request would try two passwords."""
    body = {"current_password": "another password", "new_password": PASSWORD}
    assert bob.put("/api/v1/account/password", json=body).status_code == 403


def change_at_once(app: Flask, old: str, new: list[str]) -> list[tuple[int, str]]:
    """Change the password from two devices at a barrier; the status that each new one got."""
    barrier = threading.Barrier(len(new))
    answers: list[tuple[int, str]] = []

    def change(client: FlaskClient, password: str) -> None:
        body = {"current_password": old, "new_password": password}
        barrier.wait(10)
        answers.append((client.put("/api/v1/account/password", json=body).status_code, password))

    threads = [
        threading.Thread(target=change, args=(another_device_with(app, old), password))
        for password in new
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return answers


@pytest.mark.usefixtures("bob")
def test_of_two_simultaneous_password_changes_one_holds(app: Flask) -> None:
    password = PASSWORD
    for round_ in range(5):
        answers = change_at_once(
            app, password, [f"the first of {round_}", f"the second of {round_}"]
        )
        assert {code for code, _ in answers} <= {204, 403, 401}
        (password,) = [new for code, new in answers if code == 204]
        assert another_device_with(app, password)


def another_device_with(app: Flask, password: str) -> FlaskClient:
    client = app.test_client()
    assert client.post("/api/v1/sessions", json=BOB | {"password": password}).status_code == 201
    return client


def test_deleting_an_account_requires_the_password_and_ends_every_session(
    app: Flask, bob: FlaskClient
) -> None:
    """G6: deleted is signed out."""
    other, own = another_device(app), cookie(bob)
    wrong = bob.delete("/api/v1/account", json={"password": "another password"})
    assert wrong.status_code == 403
    assert bob.delete("/api/v1/account", json={"password": PASSWORD}).status_code == 204
    assert (status(other), status(with_cookie(app, own))) == (401, 401)
    assert bob.post("/api/v1/sessions", json=BOB).status_code == 401
    assert bob.get("/api/v1/usernames/bob").json["reason"] == "taken"


def test_a_disabled_account_is_signed_out_and_cannot_sign_in(
    app: Flask, bob: FlaskClient, database: psycopg.Connection
) -> None:
    """G6: disabled is signed out."""
    services = services_of(app)
    assert services.revocation.disable("bob", NOWHERE) == 1
    assert status(bob) == 401
    assert bob.post("/api/v1/sessions", json=BOB).status_code == 401
    services.revocation.enable("bob", NOWHERE)
    assert bob.post("/api/v1/sessions", json=BOB).status_code == 201
