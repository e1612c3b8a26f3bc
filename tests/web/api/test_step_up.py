"""A fresh proof: how a session gets one, what requires one, and that it revives nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from service.credentials.hashing import PasswordHasher
from service.sessions import rules
from service.sessions.ids import SessionId
from service.sessions.keys import session_key
from tests.passwords import ANOTHER_PASSWORD, BOB, PASSWORD
from tests.web.devices import DATA, another_device, cookie, status, with_cookie

STEP_UP = "/api/v1/sessions/current/step-up"
ACCOUNT = "/api/v1/account"
FRESH = 600_000  # milliseconds


def step_up(client: FlaskClient, password: str = PASSWORD) -> Any:
    return client.post(STEP_UP, json={"password": password})


def age(redis: Redis, client: FlaskClient, milliseconds: int) -> None:
    """Let the user have authenticated so much earlier."""
    session_id = SessionId.parse(cookie(client))
    assert session_id is not None
    redis.hincrby(session_key(session_id.locator, session_id.digest), "created", -milliseconds)


def test_a_proof_gives_the_session_a_new_id_and_keeps_what_it_holds(
    app: Flask, bob: FlaskClient
) -> None:
    """G8: the old id is worthless."""
    bob.patch(DATA, json={"kept": True})
    old = cookie(bob)
    assert step_up(bob).status_code == 204
    assert cookie(bob) != old
    assert bob.get(DATA).json == {"kept": True}
    assert (status(bob), status(with_cookie(app, old))) == (200, 401)


def test_a_wrong_password_proves_nothing(app: Flask, bob: FlaskClient, redis: Redis) -> None:
    age(redis, bob, FRESH + 1000)
    old = cookie(bob)
    refused = step_up(bob, "another password")
    assert (refused.status_code, refused.get_json(force=True)["code"]) == (403, "wrong_password")
    assert (cookie(bob), status(bob)) == (old, 200)
    assert bob.delete(ACCOUNT).status_code == 403


@pytest.mark.parametrize(
    ("body", "expected"), [({"password": PASSWORD}, 401), ({}, 401), ({"password": 1}, 401)]
)
def test_nobody_proves_anything_without_a_session(
    client: FlaskClient, body: dict[str, Any], expected: int
) -> None:
    response = client.post(STEP_UP, json=body)
    assert (response.status_code, response.get_json(force=True)["code"]) == (
        expected,
        "not_signed_in",
    )


@pytest.mark.parametrize("body", [{}, {"password": None}, {"password": ["x"]}])
def test_a_proof_without_a_password_is_invalid(bob: FlaskClient, body: dict[str, Any]) -> None:
    assert bob.post(STEP_UP, json=body).status_code == 422


def test_a_fresh_proof_is_enough_to_delete_the_account(app: Flask, bob: FlaskClient) -> None:
    own = cookie(bob)
    assert bob.delete(ACCOUNT).status_code == 204
    assert status(with_cookie(app, own)) == 401
    assert bob.post("/api/v1/sessions", json=BOB).status_code == 401


def test_an_old_proof_is_not_enough_and_the_response_says_how_to_give_a_new_one(
    bob: FlaskClient, redis: Redis
) -> None:
    age(redis, bob, FRESH + 1000)
    refused = bob.delete(ACCOUNT)
    document = refused.get_json(force=True)
    assert (refused.status_code, document["code"]) == (403, "step_up_required")
    assert document["factors"] == ["password"]
    assert refused.mimetype == "application/problem+json"
    assert status(bob) == 200
    assert step_up(bob).status_code == 204
    assert bob.delete(ACCOUNT).status_code == 204


def test_the_password_deletes_the_account_however_old_the_last_proof_is(
    bob: FlaskClient, redis: Redis
) -> None:
    age(redis, bob, FRESH + 1000)
    assert bob.delete(ACCOUNT, json={"password": "another password"}).status_code == 403
    assert bob.delete(ACCOUNT, json={"password": PASSWORD}).status_code == 204


@pytest.mark.parametrize("password", [1, True, ["x"], {}])
def test_a_password_that_is_no_string_deletes_nothing(bob: FlaskClient, password: object) -> None:
    assert bob.delete(ACCOUNT, json={"password": password}).status_code == 422
    assert status(bob) == 200


def test_a_password_change_requires_the_password_however_fresh_the_proof_is(
    bob: FlaskClient,
) -> None:
    """OWASP ASVS 5.0, 6.2.3."""
    body = {"new_password": ANOTHER_PASSWORD}
    assert step_up(bob).status_code == 204
    assert bob.put(f"{ACCOUNT}/password", json=body).status_code == 422


@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
def test_the_age_of_a_proof_does_not_depend_on_the_clock_of_the_worker(
    bob: FlaskClient, redis: Redis, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    """G9."""
    real = rules.time.time
    monkeypatch.setattr(rules.time, "time", lambda: real() + ahead)
    assert status(bob) == 200
    age(redis, bob, FRESH + 1000)
    assert bob.delete(ACCOUNT).status_code == 403
    assert step_up(bob).status_code == 204
    assert bob.delete(ACCOUNT).status_code == 204


def revoke_all(app: Flask) -> None:
    assert another_device(app).delete("/api/v1/sessions?scope=all").status_code == 200


def revoke_others(app: Flask) -> None:
    assert another_device(app).delete("/api/v1/sessions?scope=others").status_code == 200


def change_password_and_back(app: Flask) -> None:
    other = another_device(app)
    for old, new in ((PASSWORD, ANOTHER_PASSWORD), (ANOTHER_PASSWORD, PASSWORD)):
        body = {"current_password": old, "new_password": new}
        assert other.put(f"{ACCOUNT}/password", json=body).status_code == 204


def overtaken_by(end: Callable[[Flask], None], app: Flask, victim: FlaskClient) -> int:
    """End the session between the check of its password and its new id; the status of the proof."""
    verified, ended = threading.Semaphore(0), threading.Semaphore(0)
    statuses: list[int] = []
    verify = PasswordHasher.verify

    def slow_verify(self: PasswordHasher, *arguments: Any) -> bool:
        matches = verify(self, *arguments)
        if threading.current_thread() is proof:
            verified.release()
            assert ended.acquire(timeout=20)
        return matches

    proof = threading.Thread(target=lambda: statuses.append(step_up(victim).status_code))
    with patch.object(PasswordHasher, "verify", slow_verify):
        proof.start()
        assert verified.acquire(timeout=20)
        end(app)
        ended.release()
        proof.join(20)
    return statuses[0]


@pytest.mark.parametrize("end", [revoke_all, revoke_others, change_password_and_back])
@pytest.mark.usefixtures("bob")
def test_a_proof_that_is_under_way_does_not_revive_a_session_that_ends(
    app: Flask, end: Callable[[Flask], None]
) -> None:
    """G6."""
    for _ in range(5):
        victim = another_device(app)
        old = cookie(victim)
        assert overtaken_by(end, app, victim) == 401
        assert (status(victim), status(with_cookie(app, old))) == (401, 401)
