"""Revoked is revoked: a request that was under way when its session ended brings nothing back.

The bug that this looks for: stores that write the whole session at the end of a request, touched or
not, so that a slow request signs a logged-out browser in again (Flask-Session 0.8.0,
connect-redis #328, spring-session #1111). TRIES in the environment repeats each case so many times.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask, session
from flask.testing import FlaskClient
from redis import Redis

from service.accounts.passwords import PasswordHasher
from service.errors import SessionRevoked
from service.web import current
from service.web.services import Services

PASSWORD = "correct horse battery"
NEW_PASSWORD = "a new one entirely"
BOB = {"username": "Bob", "password": PASSWORD}
CURRENT = "/api/v1/sessions/current"


@dataclass
class Parking:
    """A view that waits in the middle, until it is released."""

    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    released: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def wait(self) -> None:
        self.arrived.release()
        assert self.released.acquire(timeout=30)


@pytest.fixture
def tries() -> int:
    return int(os.environ.get("TRIES", "15"))


@pytest.fixture
def parking(app: Flask) -> Parking:
    parking = Parking()

    @app.post("/parked/untouched")
    def untouched() -> str:
        parking.wait()
        return "done"

    @app.post("/parked/read")
    def read() -> str:
        session.get("key")
        parking.wait()
        return "done"

    @app.post("/parked/written")
    def written() -> str:
        session["key"] = "before"
        parking.wait()
        session["key"] = "after"
        return "done"

    return parking


@pytest.fixture
def bob(app: Flask, parking: Parking) -> FlaskClient:
    client = app.test_client()
    assert client.post("/api/v1/accounts", json=BOB).status_code == 201
    return client


def sign_in(app: Flask, password: str = PASSWORD) -> FlaskClient:
    client = app.test_client()
    assert client.post("/api/v1/sessions", json=BOB | {"password": password}).status_code == 201
    return client


def copy_of(app: Flask, client: FlaskClient) -> FlaskClient:
    """Another client with the same cookie."""
    cookie = client.get_cookie("session")
    assert cookie is not None
    copy = app.test_client()
    copy.set_cookie("session", cookie.value)
    return copy


def log_out(app: Flask, victim: FlaskClient) -> None:
    assert copy_of(app, victim).delete(CURRENT).status_code == 204


def revoke_one(app: Flask, victim: FlaskClient) -> None:
    handle = victim.get(CURRENT).json["session"]["handle"]
    assert sign_in(app).delete(f"/api/v1/sessions/{handle}").status_code == 204


def revoke_all(app: Flask, victim: FlaskClient) -> None:
    assert sign_in(app).delete("/api/v1/sessions?scope=all").status_code == 200


def rotate(app: Flask, victim: FlaskClient) -> None:
    assert copy_of(app, victim).post("/api/v1/sessions", json=BOB).status_code == 201


def change_password(app: Flask, victim: FlaskClient) -> None:
    other = sign_in(app)
    for old, new in ((PASSWORD, NEW_PASSWORD), (NEW_PASSWORD, PASSWORD)):
        body = {"current_password": old, "new_password": new}
        assert other.put("/api/v1/account/password", json=body).status_code == 204


def disable(app: Flask, victim: FlaskClient) -> None:
    services: Services = app.extensions["coatcheck"]
    services.revocation.disable("bob")


def delete(app: Flask, victim: FlaskClient) -> None:
    response = copy_of(app, victim).delete("/api/v1/account", json={"password": PASSWORD})
    assert response.status_code == 204


ENDINGS = [log_out, revoke_one, revoke_all, rotate, change_password, disable, delete]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("view", ["untouched", "read", "written"])
@pytest.mark.parametrize("end", ENDINGS, ids=lambda end: end.__name__)
def test_g6_a_parked_request_brings_no_ended_session_back(
    app: Flask,
    bob: FlaskClient,
    parking: Parking,
    redis: Redis,
    tries: int,
    end: Callable[[Flask, FlaskClient], None],
    view: str,
) -> None:
    for _ in range(tries):
        make_sure_of_bob(app, redis)
        victim = sign_in(app)
        stolen = copy_of(app, victim)
        answers: list[int] = []
        parked = threading.Thread(
            target=lambda c=victim, a=answers: a.append(c.post(f"/parked/{view}").status_code)
        )
        parked.start()
        assert parking.arrived.acquire(timeout=10)
        end(app, stolen)
        assert stolen.get(CURRENT).status_code == 401
        parking.released.release()
        parked.join(30)
        assert answers == [200]
        assert stolen.get(CURRENT).status_code == 401


def make_sure_of_bob(app: Flask, redis: Redis) -> None:
    """Undo what the last try did to the account."""
    services: Services = app.extensions["coatcheck"]
    with services.postgres.connection() as connection:
        connection.execute("UPDATE accounts SET disabled_at = NULL WHERE retired_at IS NULL")
        connection.execute("DELETE FROM accounts WHERE retired_at IS NOT NULL")
    redis.delete("coatcheck:username:bob")
    app.test_client().post("/api/v1/accounts", json=BOB)


@pytest.mark.timeout(900)
def test_g6_a_login_that_verified_the_old_password_gets_no_session(
    app: Flask, bob: FlaskClient, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The login is held between its verification and its session, while the password changes."""
    verified, changed = threading.Semaphore(0), threading.Semaphore(0)
    verify = PasswordHasher.verify
    slow: set[int] = set()

    def slow_verify(self: PasswordHasher, *arguments: Any) -> bool:
        matches = verify(self, *arguments)
        if threading.get_ident() in slow:
            verified.release()
            assert changed.acquire(timeout=30)
        return matches

    monkeypatch.setattr(PasswordHasher, "verify", slow_verify)
    for _ in range(tries):
        late = app.test_client()
        answers: list[int] = []

        def log_in(client: FlaskClient = late, answers: list[int] = answers) -> None:
            slow.add(threading.get_ident())
            answers.append(client.post("/api/v1/sessions", json=BOB).status_code)
            slow.discard(threading.get_ident())

        login = threading.Thread(target=log_in)
        login.start()
        assert verified.acquire(timeout=10)
        body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        assert bob.put("/api/v1/account/password", json=body).status_code == 204
        changed.release()
        login.join(30)
        assert answers == [401]
        assert late.get_cookie("session") is None
        back = {"current_password": NEW_PASSWORD, "new_password": PASSWORD}
        assert bob.put("/api/v1/account/password", json=back).status_code == 204


@pytest.mark.timeout(900)
def test_g7_fifty_requests_at_a_time_that_write_a_key_each_keep_every_key(
    app: Flask, parking: Parking, tries: int
) -> None:
    client = app.test_client()
    data = "/api/v1/sessions/current/data"
    client.patch(data, json={"first": 0})
    writers = 50
    barrier = threading.Barrier(writers)

    def write(number: int, round_: int) -> None:
        copy = copy_of(app, client)
        barrier.wait(30)
        copy.patch(data, json={f"key{number}": round_})

    for round_ in range(tries):
        threads = [
            threading.Thread(target=write, args=(number, round_)) for number in range(writers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        stored = client.get(data).json
        assert stored == {"first": 0} | {f"key{number}": round_ for number in range(writers)}


def test_g6_a_sign_in_that_was_overtaken_says_so(app: Flask, bob: FlaskClient) -> None:
    services: Services = app.extensions["coatcheck"]
    account = services.login.authenticate("bob", PASSWORD)
    services.revocation.revoke("bob")
    with app.test_request_context(), pytest.raises(SessionRevoked):
        current.sign_in(account, remember=False)
