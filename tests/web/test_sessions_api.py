from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from service.errors import SessionStoreUnavailable
from service.web.services import services_of

PASSWORD = "correct horse battery"
BOB = {"username": "Bob", "password": PASSWORD}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CURRENT = "/api/v1/sessions/current"
DATA = "/api/v1/sessions/current/data"


@pytest.fixture
def bob(app: Flask) -> FlaskClient:
    client = app.test_client()
    client.environ_base["HTTP_USER_AGENT"] = FIREFOX
    assert client.post("/api/v1/accounts", json=BOB).status_code == 201
    return client


def another_device(app: Flask) -> FlaskClient:
    client = app.test_client()
    assert client.post("/api/v1/sessions", json=BOB).status_code == 201
    return client


def status(client: FlaskClient) -> int:
    return client.get(CURRENT).status_code


def cookie(client: FlaskClient) -> str:
    found = client.get_cookie("session")
    assert found is not None
    return found.value


def with_cookie(app: Flask, value: str) -> FlaskClient:
    client = app.test_client()
    client.set_cookie("session", value)
    return client


def test_devices_are_listed_with_what_tells_them_apart(app: Flask, bob: FlaskClient) -> None:
    another_device(app)
    listed = bob.get("/api/v1/sessions").json["sessions"]
    assert len(listed) == 2
    (own,) = [session for session in listed if session["current"]]
    assert own["device"] == "Firefox on Linux"
    assert own["address"] == "127.0.0.1"
    assert set(own) == {
        "handle",
        "current",
        "created_at",
        "last_seen_at",
        "expires_at",
        "address",
        "device",
    }


def test_one_device_is_revoked_and_the_others_go_on(app: Flask, bob: FlaskClient) -> None:
    other = another_device(app)
    handle = other.get(CURRENT).json["session"]["handle"]
    assert bob.delete(f"/api/v1/sessions/{handle}").status_code == 204
    assert (status(other), status(bob)) == (401, 200)
    assert bob.delete(f"/api/v1/sessions/{handle}").status_code == 404


def test_revoking_ones_own_device_by_handle_deletes_the_cookie(bob: FlaskClient) -> None:
    handle = bob.get(CURRENT).json["session"]["handle"]
    response = bob.delete(f"/api/v1/sessions/{handle}")
    assert response.status_code == 204
    assert "Max-Age=0" in response.headers["Set-Cookie"]


@pytest.mark.parametrize("handle", ["x", "0" * 64, "*"])
def test_a_handle_that_is_not_ones_own_is_not_found(
    app: Flask, bob: FlaskClient, handle: str
) -> None:
    assert bob.delete(f"/api/v1/sessions/{handle}").status_code == 404


def test_nobody_revokes_the_session_of_another(app: Flask, bob: FlaskClient) -> None:
    ada = app.test_client()
    ada.post("/api/v1/accounts", json=BOB | {"username": "Ada"})
    handle = ada.get(CURRENT).json["session"]["handle"]
    assert bob.delete(f"/api/v1/sessions/{handle}").status_code == 404
    assert status(ada) == 200


def test_all_others_are_revoked_and_this_one_goes_on(app: Flask, bob: FlaskClient) -> None:
    others = [another_device(app) for _ in range(3)]
    response = bob.delete("/api/v1/sessions?scope=others")
    assert (response.status_code, response.json) == (200, {"revoked": 3})
    assert status(bob) == 200
    assert {status(other) for other in others} == {401}


def test_all_are_revoked_and_the_cookie_deleted(app: Flask, bob: FlaskClient) -> None:
    other = another_device(app)
    own = cookie(bob)
    response = bob.delete("/api/v1/sessions?scope=all")
    assert response.json == {"revoked": 2}
    assert "Max-Age=0" in response.headers["Set-Cookie"]
    assert (status(other), status(with_cookie(app, own))) == (401, 401)


@pytest.mark.parametrize("query", ["", "?scope=", "?scope=mine"])
def test_a_scope_must_be_named(bob: FlaskClient, query: str) -> None:
    assert bob.delete(f"/api/v1/sessions{query}").status_code == 422
    assert status(bob) == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/sessions"),
        ("DELETE", "/api/v1/sessions?scope=all"),
        ("DELETE", "/api/v1/sessions/" + "0" * 64),
        ("PUT", "/api/v1/account/password"),
        ("DELETE", "/api/v1/account"),
    ],
)
def test_only_who_is_signed_in_may(app: Flask, method: str, path: str) -> None:
    assert app.test_client().open(path, method=method, json={}).status_code == 401


def test_a_changed_password_gives_a_new_id_and_ends_every_other_session(
    app: Flask, bob: FlaskClient
) -> None:
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
def test_a_refused_password_change_changes_nothing(
    app: Flask, bob: FlaskClient, current: str, new: str, expected: int, code: str
) -> None:
    other = another_device(app)
    body = {"current_password": current, "new_password": new}
    response = bob.put("/api/v1/account/password", json=body)
    assert (response.status_code, response.get_json(force=True)["code"]) == (expected, code)
    assert (status(bob), status(other)) == (200, 200)


def test_a_password_change_that_failed_halfway_is_finished_by_repeating_it(
    app: Flask, bob: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:

    def fail(*_: object) -> int:
        raise SessionStoreUnavailable

    other = another_device(app)
    body = {"current_password": PASSWORD, "new_password": "a new one entirely"}
    with monkeypatch.context() as broken:
        broken.setattr(services_of(app).session_store, "revoke_all", fail)
        assert bob.put("/api/v1/account/password", json=body).status_code == 503
    assert bob.put("/api/v1/account/password", json=body).status_code == 204
    assert (status(bob), status(other)) == (200, 401)


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
def test_of_two_password_changes_at_a_time_one_holds(app: Flask) -> None:
    password = PASSWORD
    for round_ in range(5):
        answers = change_at_once(app, password, [f"first of {round_}", f"second of {round_}"])
        assert {code for code, _ in answers} <= {204, 403, 401}
        (password,) = [new for code, new in answers if code == 204]
        assert another_device_with(app, password)


def another_device_with(app: Flask, password: str) -> FlaskClient:
    client = app.test_client()
    assert client.post("/api/v1/sessions", json=BOB | {"password": password}).status_code == 201
    return client


def test_deleting_ones_account_takes_the_password_and_ends_everything(
    app: Flask, bob: FlaskClient
) -> None:
    other, own = another_device(app), cookie(bob)
    wrong = bob.delete("/api/v1/account", json={"password": "another password"})
    assert wrong.status_code == 403
    assert bob.delete("/api/v1/account", json={"password": PASSWORD}).status_code == 204
    assert (status(other), status(with_cookie(app, own))) == (401, 401)
    assert bob.post("/api/v1/sessions", json=BOB).status_code == 401
    assert bob.get("/api/v1/usernames/bob").json["reason"] == "taken"


@pytest.mark.parametrize(
    ("before", "patch", "after"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {"a": None}, {}),
        ({"a": 1}, {"b": [1, {"c": None}]}, {"a": 1, "b": [1, {"c": None}]}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None, "d": 3}}, {"a": {"c": 2, "d": 3}}),
        ({"a": [1]}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
    ],
)
def test_session_data_changes_by_merge_patch(
    bob: FlaskClient, before: Any, patch: Any, after: Any
) -> None:
    bob.patch(DATA, json=before)
    assert bob.patch(DATA, json=patch).json == after
    assert bob.get(DATA).json == after


def test_session_data_works_without_signing_in(app: Flask, redis: Redis) -> None:
    client = app.test_client()
    assert client.get(DATA).json == {}
    assert redis.dbsize() == 0
    assert client.patch(DATA, json={"basket": ["hat"]}).status_code == 200
    assert client.get(DATA).json == {"basket": ["hat"]}


def test_session_data_past_the_limit_is_refused_and_nothing_stored(bob: FlaskClient) -> None:
    for number in range(4):
        assert bob.patch(DATA, json={f"key{number}": "x" * 15_000}).status_code == 200
    response = bob.patch(DATA, json={"one": "x" * 15_000})
    assert response.status_code == 413
    assert response.get_json(force=True)["code"] == "too_large"
    assert "one" not in bob.get(DATA).json


@pytest.mark.parametrize("body", ["[]", "1", "nonsense"])
def test_a_patch_that_is_no_object_is_refused(bob: FlaskClient, body: str) -> None:
    response = bob.patch(DATA, data=body, content_type="application/json")
    assert response.status_code == 400


def test_a_disabled_account_is_signed_out_and_cannot_sign_in(
    app: Flask, bob: FlaskClient, database: psycopg.Connection
) -> None:
    services = services_of(app)
    assert services.revocation.disable("bob") == 1
    assert status(bob) == 401
    assert bob.post("/api/v1/sessions", json=BOB).status_code == 401
    services.revocation.enable("bob")
    assert bob.post("/api/v1/sessions", json=BOB).status_code == 201
