from __future__ import annotations

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.passwords import BOB
from tests.web.devices import CURRENT, another_device, cookie, status, with_cookie

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def client(client: FlaskClient) -> FlaskClient:
    client.environ_base["HTTP_USER_AGENT"] = FIREFOX
    return client


def test_devices_are_listed_with_what_distinguishes_them(app: Flask, bob: FlaskClient) -> None:
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


def test_revoking_this_device_by_handle_deletes_the_cookie(bob: FlaskClient) -> None:
    handle = bob.get(CURRENT).json["session"]["handle"]
    response = bob.delete(f"/api/v1/sessions/{handle}")
    assert response.status_code == 204
    assert "Max-Age=0" in response.headers["Set-Cookie"]


@pytest.mark.parametrize("handle", ["x", "0" * 64, "*"])
def test_an_unknown_handle_is_not_found(app: Flask, bob: FlaskClient, handle: str) -> None:
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


@pytest.mark.parametrize("scope", ["others", "all"])
def test_a_session_whose_account_no_longer_exists_is_not_signed_in(
    bob: FlaskClient, database: psycopg.Connection, scope: str
) -> None:
    database.execute("DELETE FROM accounts")
    response = bob.delete(f"/api/v1/sessions?scope={scope}")
    assert (response.status_code, response.get_json(force=True)["detail"]) == (
        401,
        "You are not signed in.",
    )


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
def test_only_members_may_see_and_revoke_devices(app: Flask, method: str, path: str) -> None:
    assert app.test_client().open(path, method=method, json={}).status_code == 401
