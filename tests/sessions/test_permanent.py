"""`session.permanent`: whether the session outlives the browser, and for how long."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from flask import Flask, session
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from config import Settings
from service.sessions.ids import new_locator
from service.sessions.record import NewSession, Owner
from service.sessions.rules import Limits, SessionRules
from service.sessions.store import SessionStore
from tests.redis_engines import Masters

HOUR = 3_600_000  # milliseconds
USUAL, REMEMBERED = Limits(idle=1800, lifetime=43200), Limits(idle=86400, lifetime=864000)
RULES = SessionRules(USUAL, REMEMBERED)


@pytest.fixture
def store(either_redis: Redis | Masters) -> SessionStore:
    return SessionStore(either_redis, RULES, 50)


def of_bob(remember: bool = False) -> NewSession:
    owner = Owner(1, "bob", 0.0)
    return NewSession(owner=owner, locator=new_locator(), epoch=0, remember=remember)


@pytest.mark.parametrize("remember", [True, False])
def test_a_session_gets_the_limits_of_what_it_becomes(
    store: SessionStore, either_redis: Redis, remember: bool
) -> None:
    """G9: in the session, in the list of devices, and for every worker."""
    record = store.create(of_bob(not remember))
    changed = store.set_remember(record, remember)
    assert changed is not None
    assert store.read(record.id) == changed
    limits = REMEMBERED if remember else USUAL
    assert changed.metadata.remember is remember
    assert changed.idle == limits.idle * 1000
    assert 0 <= changed.deadline - record.created - limits.lifetime * 1000 < 5000
    key = f"coatcheck:{{{record.id.locator}}}:session:{record.id.digest}"
    assert limits.idle - 5 < either_redis.ttl(key) <= limits.idle
    (device,) = store.devices(record.id.locator)
    assert device.expires == changed.expires == changed.seen + changed.idle


def test_no_number_of_changes_extends_a_session_beyond_its_longest_limit(
    store: SessionStore, either_redis: Redis
) -> None:
    """G9"""
    record = store.create(of_bob())
    key = f"coatcheck:{{{record.id.locator}}}:session:{record.id.digest}"
    either_redis.hincrby(key, "created", -239 * HOUR)  # of 240
    for remember in (True, False, True, False):
        changed = store.set_remember(record, remember)
        assert changed is not None
        assert changed.deadline == record.created - 239 * HOUR + 240 * HOUR


def test_a_session_that_is_gone_stays_gone(store: SessionStore, either_redis: Redis) -> None:
    """G6"""
    record = store.create(of_bob())
    store.revoke(record.id.locator, record.id.digest)
    assert store.set_remember(record, True) is None
    assert store.read(record.id) is None
    assert either_redis.dbsize() == 0


def test_authenticating_again_meanwhile_loses_neither_change(store: SessionStore) -> None:
    """G7: each writes fields of its own."""
    for _ in range(20):
        record = store.create(of_bob())
        barrier = threading.Barrier(2, timeout=30)

        def remember(record=record, barrier=barrier) -> None:
            barrier.wait()
            store.set_remember(record, True)

        thread = threading.Thread(target=remember)
        thread.start()
        barrier.wait()
        rotated = store.rotate(record, ("totp",), 0)
        thread.join()
        assert rotated is not None
        read = store.read(rotated.id)
        assert read is not None
        assert read.metadata.methods == ("totp",)
        if not read.metadata.remember:  # it came after the session had moved
            assert store.read(record.id) is None


def test_a_shorter_idle_limit_holds_and_a_longer_one_does_not(store: SessionStore) -> None:
    record = store.create(of_bob())
    for asked, got in ((300, 300_000), (10**9, REMEMBERED.idle * 1000)):
        changed = store.set_remember(record, True, asked)
        assert changed is not None
        assert changed.idle == got
        assert store.read(record.id) == changed
        assert changed.deadline == record.created + REMEMBERED.lifetime * 1000


def test_a_use_extends_a_session_by_its_own_idle_limit(
    store: SessionStore, either_redis: Redis
) -> None:
    record = store.create(NewSession(remember=True, idle=300))
    assert store.read(record.id) == record
    key = f"coatcheck:{{{record.id.locator}}}:session:{record.id.digest}"
    either_redis.hincrby(key, "seen", -2 * 60_000)
    touched = store.read(record.id)
    assert touched is not None
    assert touched.expires == touched.seen + 300_000
    assert 295 < either_redis.ttl(key) <= 300


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    @app.post("/permanent/<int:value>")
    def permanent(value: int) -> str:
        session.permanent = bool(value)
        return ""

    @app.post("/colour")
    def colour() -> str:
        session["colour"] = "red"
        return ""

    @app.get("/permanent")
    def is_permanent() -> list[object]:
        return [session.permanent, dict(session)]

    return app.test_client()


def expiry(response: TestResponse) -> datetime | None:
    found = re.search("Expires=([^;]+)", response.headers["Set-Cookie"])
    return parsedate_to_datetime(found[1]) if found else None


def test_a_session_that_becomes_permanent_gets_a_cookie_that_outlives_the_browser(
    client: FlaskClient, settings: Settings
) -> None:
    assert expiry(client.post("/colour")) is None
    issued = client.get_cookie("session")
    end = expiry(client.post("/permanent/1"))
    assert end is not None
    lifetime = timedelta(seconds=settings.remembered_session_lifetime)
    assert abs(end - datetime.now(UTC) - lifetime) < timedelta(minutes=1)
    assert client.get("/permanent").json == [True, {"colour": "red"}]
    assert expiry(client.post("/permanent/0")) is None
    assert client.get("/permanent").json == [False, {"colour": "red"}]
    kept = client.get_cookie("session")
    assert issued is not None
    assert kept is not None
    assert kept.value == issued.value


def test_setting_what_a_session_is_writes_nothing(client: FlaskClient, redis: Redis) -> None:
    client.post("/colour")
    client.post("/permanent/1")
    (key,) = redis.keys()
    before = redis.hgetall(key)
    response = client.post("/permanent/1")
    assert "Set-Cookie" not in response.headers
    assert redis.hgetall(key) == before


def test_a_session_without_keys_is_not_stored_because_it_is_permanent(
    client: FlaskClient, redis: Redis
) -> None:
    """G11: an application may make every session permanent, and its visitors cost Redis nothing."""
    assert "Set-Cookie" not in client.post("/permanent/1").headers
    assert redis.dbsize() == 0


def test_permanent_session_lifetime_shortens_the_idle_limit(
    app: Flask, client: FlaskClient, redis: Redis
) -> None:
    app.config["PERMANENT_SESSION_LIFETIME"] = 300
    client.post("/colour")
    client.post("/permanent/1")
    (key,) = redis.keys()
    assert 295 < redis.ttl(key) <= 300
