"""Requests that are still under way when their session ends.

They look for a bug of session stores that write the whole session back at the end of a request,
changed or not, so that a slow request signs a logged-out browser in again (Flask-Session 0.8.0,
connect-redis #328, spring-session #1111). Each function makes one attempt.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from unittest.mock import patch

import psycopg
from flask import Flask, session
from flask.testing import FlaskClient
from redis import Redis

from service.credentials.hashing import PasswordHasher
from service.sessions.record import NOWHERE
from service.web.services import services_of
from tests.passwords import BOB, PASSWORD

NEW_PASSWORD = "a new one entirely"
CURRENT = "/api/v1/sessions/current"
DATA = f"{CURRENT}/data"
WRITERS = 50
TIMEOUT = 30  # seconds


@dataclass
class Parking:
    """Where a request waits, halfway through its view, until it is released."""

    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    released: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def wait(self) -> None:
        self.arrived.release()
        assert self.released.acquire(timeout=TIMEOUT)


class Statuses(NamedTuple):
    """What the ended session got while the request was parked and afterwards, and what the parked
    request itself got."""

    meanwhile: int
    parked: int
    afterwards: int


REVOKED = Statuses(401, 200, 401)
VIEWS = ("untouched", "read", "written")  # what the parked view does with its session


def add_parked_views(app: Flask) -> Parking:
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


def sign_in(app: Flask) -> FlaskClient:
    client = app.test_client()
    assert client.post("/api/v1/sessions", json=BOB).status_code == 201
    return client


def copy_of(app: Flask, client: FlaskClient) -> FlaskClient:
    """Another client with the same cookie."""
    cookie = client.get_cookie("session")
    assert cookie is not None
    copy = app.test_client()
    copy.set_cookie("session", cookie.value)
    return copy


def change_password(client: FlaskClient, old: str, new: str) -> None:
    body = {"current_password": old, "new_password": new}
    assert client.put("/api/v1/account/password", json=body).status_code == 204


def _log_out(app: Flask, victim: FlaskClient) -> None:
    assert copy_of(app, victim).delete(CURRENT).status_code == 204


def _revoke_one(app: Flask, victim: FlaskClient) -> None:
    handle = victim.get(CURRENT).json["session"]["handle"]
    assert sign_in(app).delete(f"/api/v1/sessions/{handle}").status_code == 204


def _revoke_all(app: Flask, victim: FlaskClient) -> None:
    assert sign_in(app).delete("/api/v1/sessions?scope=all").status_code == 200


def _rotate(app: Flask, victim: FlaskClient) -> None:
    assert copy_of(app, victim).post("/api/v1/sessions", json=BOB).status_code == 201


def _change_password(app: Flask, victim: FlaskClient) -> None:
    other = sign_in(app)
    change_password(other, PASSWORD, NEW_PASSWORD)
    change_password(other, NEW_PASSWORD, PASSWORD)


def _disable(app: Flask, victim: FlaskClient) -> None:
    services = services_of(app)
    services.revocation.disable("bob", NOWHERE)


def _delete(app: Flask, victim: FlaskClient) -> None:
    response = copy_of(app, victim).delete("/api/v1/account", json={"password": PASSWORD})
    assert response.status_code == 204


ENDINGS: dict[str, Callable[[Flask, FlaskClient], None]] = {
    "log_out": _log_out,
    "revoke_one": _revoke_one,
    "revoke_all": _revoke_all,
    "rotate": _rotate,
    "change_password": _change_password,
    "disable": _disable,
    "delete": _delete,
}


class Stores(NamedTuple):
    """Both, as their owner sees them."""

    redis: Redis
    database: psycopg.Connection


def parked_request(
    app: Flask, parking: Parking, stores: Stores, ending: str, view: str
) -> Statuses:
    """End a session while a request of it is parked; REVOKED is the only correct result."""
    _restore_bob(app, stores)
    victim = sign_in(app)
    stolen = copy_of(app, victim)
    parked: list[int] = []
    request = threading.Thread(
        target=lambda: parked.append(victim.post(f"/parked/{view}").status_code)
    )
    request.start()
    assert parking.arrived.acquire(timeout=TIMEOUT)
    ENDINGS[ending](app, stolen)
    meanwhile = stolen.get(CURRENT).status_code
    parking.released.release()
    request.join(TIMEOUT)
    return Statuses(meanwhile, *parked, stolen.get(CURRENT).status_code)


def _restore_bob(app: Flask, stores: Stores) -> None:
    """Undo what the last attempt did to the account."""
    stores.database.execute("UPDATE accounts SET disabled_at = NULL WHERE retired_at IS NULL")
    stores.database.execute(
        "UPDATE accounts SET canonical_username = 'bob-' || id WHERE retired_at IS NOT NULL"
    )
    stores.redis.delete("coatcheck:username:bob")
    app.test_client().post("/api/v1/accounts", json=BOB)


def late_login(app: Flask, bob: FlaskClient) -> tuple[int, bool]:
    """Change the password while a login is held between its verification and its session.

    Returns:
        The status of the login, and whether it got a cookie; (401, False) is correct.
    """
    late = app.test_client()
    statuses: list[int] = []
    with _held_verification() as (log_in, verified, changed):
        login = threading.Thread(target=lambda: statuses.append(log_in(late)))
        login.start()
        assert verified.acquire(timeout=TIMEOUT)
        change_password(bob, PASSWORD, NEW_PASSWORD)
        changed.release()
        login.join(TIMEOUT)
    change_password(bob, NEW_PASSWORD, PASSWORD)
    return statuses[0], late.get_cookie("session") is not None


@contextmanager
def _held_verification() -> Iterator[
    tuple[Callable[[FlaskClient], int], threading.Semaphore, threading.Semaphore]
]:
    """A login that stops once it has verified the password, and the semaphores that say when it
    has done so and when it may continue."""
    verified, changed = threading.Semaphore(0), threading.Semaphore(0)
    verify = PasswordHasher.verify
    held: set[int] = set()

    def slow_verify(self: PasswordHasher, *arguments: Any) -> bool:
        matches = verify(self, *arguments)
        if threading.get_ident() in held:
            verified.release()
            assert changed.acquire(timeout=TIMEOUT)
        return matches

    def log_in(client: FlaskClient) -> int:
        held.add(threading.get_ident())
        return client.post("/api/v1/sessions", json=BOB).status_code

    with patch.object(PasswordHasher, "verify", slow_verify):
        yield log_in, verified, changed


def concurrent_writes(app: Flask, client: FlaskClient, value: int) -> set[str]:
    """Write a different key from each of many requests at the same moment; the keys that were
    lost."""
    barrier = threading.Barrier(WRITERS)
    client.patch(DATA, json={"first": 0})

    def write(number: int) -> None:
        copy = copy_of(app, client)
        barrier.wait(TIMEOUT)
        copy.patch(DATA, json={f"key{number}": value})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    expected = {"first": 0} | {f"key{number}": value for number in range(WRITERS)}
    return {key for key, _ in expected.items() ^ client.get(DATA).json.items()}
