from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from config import Settings
from service import create_app
from service.web.services import services_of
from tests.passwords import BOB
from tests.web.checks import problem


def test_the_handle_of_a_session_signs_nobody_in(bob: FlaskClient, app: Flask) -> None:
    """G8: what Redis and other devices know of a session is not its id."""
    handle = bob.get("/api/v1/sessions/current").json["session"]["handle"]
    thief = app.test_client()
    thief.set_cookie("session", handle[:55])
    problem(thief.get("/api/v1/sessions/current"), 401, "not_signed_in")


def test_signing_in_gives_a_new_id_and_ends_the_old_session(bob: FlaskClient) -> None:
    """G8: every login issues a new id."""
    before = bob.get_cookie("session").value
    response = bob.post("/api/v1/sessions", json=BOB)
    assert response.status_code == 201
    after = bob.get_cookie("session").value
    assert after != before
    bob.set_cookie("session", before)
    problem(bob.get("/api/v1/sessions/current"), 401, "not_signed_in")


def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(bob: FlaskClient) -> None:
    answers = [
        bob.post("/api/v1/sessions", json=BOB | wrong)
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


def test_signing_out_ends_the_session_and_deletes_the_cookie(bob: FlaskClient) -> None:
    """G6: a copy of the cookie is worth nothing after a logout."""
    kept = bob.get_cookie("session").value
    response = bob.delete("/api/v1/sessions/current")
    assert response.status_code == 204
    deleted = {part.strip() for part in response.headers["Set-Cookie"].split(";")}
    assert {"session=", "Max-Age=0", "HttpOnly", "Path=/", "SameSite=Lax"} <= deleted
    bob.set_cookie("session", kept)
    problem(bob.get("/api/v1/sessions/current"), 401, "not_signed_in")


def test_signing_out_works_when_there_is_nothing_to_sign_out_of(client: FlaskClient) -> None:
    assert client.delete("/api/v1/sessions/current").status_code == 204


def test_in_production_both_cookies_are_bound_to_their_host_and_to_tls(
    production: Settings,
) -> None:
    app = create_app(production)
    response = app.test_client().post("/api/v1/accounts", json=BOB, base_url="https://example.org")
    services_of(app).close()
    cookies = response.headers.getlist("Set-Cookie")
    names = {cookie.partition("=")[0] for cookie in cookies}
    assert names == {"__Host-session", "__Host-device"}
    for cookie in cookies:
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= {
            part.strip() for part in cookie.split(";")
        }
        assert "Domain" not in cookie
