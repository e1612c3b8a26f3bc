"""A Redis whose memory is full: what ends sessions needs none, and what fills it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from service.errors import SessionRevoked, SessionStoreUnavailable
from service.sessions.contents import Change
from service.sessions.ids import new_locator
from service.sessions.record import NewSession, Owner, Record
from service.sessions.rules import Limits, SessionRules
from service.sessions.store import SessionStore
from tests.passwords import BOB, PASSWORD

LIMITS = Limits(idle=1800, lifetime=43200)
CURRENT = "/api/v1/sessions/current"
DATA = f"{CURRENT}/data"
OTHER = "a new one entirely"


@pytest.fixture
def store(redis: Redis) -> SessionStore:
    return SessionStore(redis, SessionRules(LIMITS, LIMITS), 50)


@contextmanager
def full(redis: Redis, knows_the_scripts: bool = True) -> Iterator[None]:
    assert redis.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    if not knows_the_scripts:
        redis.script_flush()
    redis.config_set("maxmemory", 1)
    try:
        yield
    finally:
        redis.config_set("maxmemory", 0)


scripts = pytest.mark.parametrize("knows_the_scripts", [True, False])


def sign_in(store: SessionStore, locator: str, epoch: int = 0) -> Record:
    new = NewSession(owner=Owner(1, "bob", 0.0), locator=locator, epoch=epoch)
    return store.create(new, {"key": b"x" * 100})


@scripts
def test_every_revocation_succeeds(
    store: SessionStore, redis: Redis, knows_the_scripts: bool
) -> None:
    """G13: no revocation waits for memory."""
    locator = new_locator()
    one, kept, other = (sign_in(store, locator) for _ in range(3))
    with full(redis, knows_the_scripts):
        assert store.revoke(locator, one.id.digest)
        assert store.revoke_all(locator, epoch=1, keep=kept.id.digest) == 1
        rotated = store.rotate(kept, ("password",), epoch=1)
        assert rotated is not None
        read = [store.read(each.id) for each in (one, kept, other, rotated)]
        assert read == [None, None, None, rotated]
        assert store.devices(locator) == [rotated.device]
        assert store.revoke_all(locator, epoch=2) == 1
        assert store.read(rotated.id) is None
    with pytest.raises(SessionRevoked):
        sign_in(store, locator, epoch=1)


@scripts
@pytest.mark.parametrize("keeps_one", [True, False])
def test_the_epoch_is_raised_although_no_session_ends(
    store: SessionStore, redis: Redis, keeps_one: bool, knows_the_scripts: bool
) -> None:
    """G13: a sign-in that read the old password is rejected, whether or not anything was freed."""
    locator = new_locator()
    kept = sign_in(store, locator).id.digest if keeps_one else None
    with full(redis, knows_the_scripts):
        assert store.revoke_all(locator, epoch=1, keep=kept) == 0
    with pytest.raises(SessionRevoked):
        sign_in(store, locator, epoch=0)


@scripts
def test_a_session_that_is_used_does_not_end(
    store: SessionStore, redis: Redis, knows_the_scripts: bool
) -> None:
    record = sign_in(store, new_locator())
    key = f"coatcheck:{{{record.id.locator}}}:session:{record.id.digest}"
    redis.hincrby(key, "seen", -120_000)
    redis.pexpire(key, 60_000)
    with full(redis, knows_the_scripts):
        read = store.read(record.id)
    assert read is not None
    assert read.seen >= record.seen
    assert read.fields == record.fields
    assert redis.ttl(key) > LIMITS.idle - 60


def test_nothing_is_written_that_takes_memory(store: SessionStore, redis: Redis) -> None:
    record = sign_in(store, new_locator())
    more = Change({"more": b"x" * 100}, ["key"])  # what it removes makes no room
    writes: list[Callable[[], object]] = [
        lambda: store.save(record, more),
        lambda: store.save(record, data=more),
        lambda: store.create(NewSession(), {"key": b"value"}),
        lambda: sign_in(store, record.id.locator),
    ]
    with full(redis):
        for write in writes:
            with pytest.raises(SessionStoreUnavailable):
                write()
        assert store.read(record.id) == record
        assert store.save(record, Change({}, ["key"]))
    assert redis.keys("*:session:*") == [
        f"coatcheck:{{{record.id.locator}}}:session:{record.id.digest}".encode()
    ]


@pytest.fixture
def devices(app: Flask) -> list[FlaskClient]:
    """Two clients of one account."""
    clients = [app.test_client() for _ in range(2)]
    assert clients[0].post("/api/v1/accounts", json=BOB).status_code == 201
    assert clients[1].post("/api/v1/sessions", json=BOB).status_code == 201
    return clients


def copy_of(app: Flask, client: FlaskClient) -> FlaskClient:
    cookie = client.get_cookie("session")
    assert cookie is not None
    copy = app.test_client()
    copy.set_cookie("session", cookie.value)
    return copy


def change_password(client: FlaskClient) -> int:
    body = {"current_password": PASSWORD, "new_password": OTHER}
    return client.put("/api/v1/account/password", json=body).status_code


ENDINGS: dict[str, Callable[[FlaskClient], int]] = {
    "others": lambda client: client.delete("/api/v1/sessions?scope=others").status_code,
    "all": lambda client: client.delete("/api/v1/sessions?scope=all").status_code,
    "sign out": lambda client: client.delete(CURRENT).status_code,
    "password": change_password,
    "deletion": lambda client: (
        client.delete("/api/v1/account", json={"password": PASSWORD}).status_code
    ),
}
ENDS_OTHERS = {"others", "all", "password", "deletion"}
ENDS_OWN = {"others", "all", "sign out", "password", "deletion"}


@scripts
@pytest.mark.parametrize("ending", ENDINGS)
def test_its_owner_ends_a_session_and_a_thief_is_out(
    app: Flask,
    redis: Redis,
    devices: list[FlaskClient],
    ending: str,
    knows_the_scripts: bool,
) -> None:
    """G6 and G13: for the stolen copies of both cookies, then and when memory is there again."""
    own, other = (copy_of(app, each) for each in devices)
    with full(redis, knows_the_scripts):
        assert ENDINGS[ending](devices[0]) in (200, 204)
        expected = [401 if ending in ENDS_OWN else 200, 401 if ending in ENDS_OTHERS else 200]
        assert [each.get(CURRENT).status_code for each in (own, other)] == expected
    assert [each.get(CURRENT).status_code for each in (own, other)] == expected


def test_whoever_is_signed_in_notices_nothing_and_strangers_write_nothing(
    app: Flask, redis: Redis, devices: list[FlaskClient]
) -> None:
    devices[0].patch(DATA, json={"key": "value"})
    with full(redis):
        assert devices[0].get(CURRENT).status_code == 200
        assert devices[0].get(DATA).json == {"key": "value"}
        assert devices[0].get("/account").status_code == 200
        assert devices[0].patch(DATA, json={"key": None}).json == {}
        stranger = app.test_client().patch(DATA, json={"key": "value"})
        assert (stranger.status_code, stranger.headers["Retry-After"]) == (503, "1")
    assert devices[0].get(DATA).json == {}
    assert len(redis.keys("*:session:*")) == len(devices)
