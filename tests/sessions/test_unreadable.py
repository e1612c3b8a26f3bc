"""A session that cannot be read counts as absent, logs a warning without its id, and never causes
an error: another program or another version of the service may have written it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import structlog
from flask import Flask, session
from flask.testing import FlaskClient
from redis import Redis
from structlog.testing import LogCapture

from service.embedded import RedisEngine
from service.sessions import contents, keys, rules
from service.sessions.ids import SessionId, new_locator
from service.sessions.reader import SessionReader
from service.sessions.record import NewSession, Owner, Record
from service.sessions.rules import Limits, SessionRules
from service.sessions.session import Session
from service.sessions.store import SessionStore
from service.storage import lines
from tests.loops import on_loop
from tests.passwords import PASSWORD

LIFE = Limits(idle=1800, lifetime=43200)
RULES = SessionRules(LIFE, LIFE)
pack = msgspec.msgpack.encode
Logs = list[Any]


def of_type(write: Callable[[Redis, str], object]) -> Callable[[Redis, str], object]:
    def replace(redis: Redis, key: str) -> None:
        redis.delete(key)
        write(redis, key)

    return replace


def field(name: str, value: bytes) -> Callable[[Redis, str], object]:
    return lambda redis, key: redis.hset(key, name, value)


def metadata(*parts: Any) -> Callable[[Redis, str], object]:
    return field(".", pack(parts))


UNREADABLE = {
    "a string": of_type(lambda redis, key: redis.set(key, "x")),
    "a list": of_type(lambda redis, key: redis.rpush(key, "x")),
    "a sorted set": of_type(lambda redis, key: redis.zadd(key, {"x": 1})),
    "no msgpack": field(".", b"\xc1"),
    "nothing": field(".", b""),
    "cut off": field(".", pack([None, False, "", ""])[:-1]),
    "a pickle": field(".", b"cposix\nsystem\n(Vtouch /tmp/x\ntR."),
    "another structure": metadata("ada"),
    "other types": metadata([1, "ada", 0.0], "no", "", ""),
    "a date that does not exist": metadata([1, "ada", math.inf], False, "", ""),
    "a later version": metadata([1, "ada", 0.0], False, "", "", [], 2),
    "a negative version": metadata([1, "ada", 0.0], False, "", "", [], -1),
    "very deep": field(
        ".", b"\x97" + pack([[1, "a", 0.0], False, "", "", [], 1])[1:] + b"\x91" * 9**5
    ),
    "no creation": lambda redis, key: redis.hdel(key, "created"),
    "created: no number": field("created", b"yesterday"),
    "created: nothing": field("created", b""),
    "created: bytes": field("created", b"\xff"),
    "created: NaN": field("created", b"nan"),
    "created: long": field("created", b"9" * 5000),
    "created: never": field("created", b"99999999999999999"),
    "seen: no number": field("seen", b"0x12"),
    "deadline: no number": field("deadline", b"1e400"),
    "deadline: before all time": field("deadline", b"-1"),
    "authenticated: no number": field("authenticated", b"x"),
    "idle: no number": field("idle", b"x"),
}
each = pytest.mark.parametrize("name", UNREADABLE)


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Logs:
    """What the sessions log."""
    capture = LogCapture()
    for module in (rules, contents):
        monkeypatch.setattr(module, "log", structlog.wrap_logger(None, processors=[capture]))
    return capture.entries


@pytest.fixture
def store(redis: Redis) -> SessionStore:
    return SessionStore(redis, RULES, 50)


def key_of(session_id: SessionId) -> str:
    return keys.session_key(session_id.locator, session_id.digest)


def of_bob(store: SessionStore, locator: str) -> Record:
    return store.create(NewSession(owner=Owner(1, "bob", 0.0), locator=locator, epoch=0))


@each
def test_it_reads_as_absent_with_a_warning_without_the_id(
    redis: Redis, store: SessionStore, name: str, logs: Logs
) -> None:
    record = of_bob(store, new_locator())
    UNREADABLE[name](redis, key_of(record.id))
    assert store.read(record.id) is None
    (line,) = logs
    assert line["event"] == "session_unreadable"
    assert line["log_level"] == "warning"
    for secret in (record.id.value, record.id.value[12:], record.id.digest, record.id.locator):
        assert secret not in repr(logs)


@each
@on_loop
async def test_the_event_loop_reads_it_as_absent_too(
    redis: Redis, redis_engine: RedisEngine, store: SessionStore, name: str, logs: Logs
) -> None:
    record = of_bob(store, new_locator())
    UNREADABLE[name](redis, key_of(record.id))
    reader = SessionReader(lines.connect(redis_engine.url), RULES)
    try:
        assert await reader.read(record.id) is None
    finally:
        await reader.close()
    assert [line["event"] for line in logs] == ["session_unreadable"]


@each
def test_no_operation_on_it_fails(redis: Redis, store: SessionStore, name: str) -> None:
    """It becomes unreadable after a request has read it, and the account has another session."""
    record, other = of_bob(store, locator := new_locator()), of_bob(store, locator)
    UNREADABLE[name](redis, key_of(record.id))
    assert other.id.digest in [device.handle for device in store.devices(locator)]
    change = Session(lambda: record)
    change["colour"] = "red"
    store.save(record, change.change())
    store.touch(record)
    store.set_remember(record, True)
    store.rotate(record, ("password",), 0)
    of_bob(store, locator)


@each
def test_revoking_ends_it(redis: Redis, store: SessionStore, name: str) -> None:
    """G6, G13: what another version could read is ended as well."""
    record = of_bob(store, new_locator())
    UNREADABLE[name](redis, key_of(record.id))
    assert store.revoke(record.id.locator, record.id.digest)
    record = of_bob(store, new_locator())
    UNREADABLE[name](redis, key_of(record.id))
    assert store.revoke_all(record.id.locator, 1) == 1
    assert not redis.exists(key_of(record.id))


def test_an_epoch_that_is_no_number_keeps_no_session_alive(
    redis: Redis, store: SessionStore
) -> None:
    record = of_bob(store, new_locator())
    redis.hset(key_of(record.id), "epoch", "x")
    assert store.revoke_all(record.id.locator, 1) == 1


def test_a_list_of_another_type_keeps_no_session_alive(redis: Redis, store: SessionStore) -> None:
    record = of_bob(store, new_locator())
    redis.set(keys.index_key(record.id.locator), "x")
    assert store.revoke(record.id.locator, record.id.digest)
    assert store.read(record.id) is None


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    app.testing = False  # errors become 500, as they do for users

    @app.get("/session")
    def read() -> dict[str, Any]:
        return dict(session)

    @app.post("/session/<key>")
    def write(key: str) -> str:
        session[key] = "written"
        return ""

    @app.post("/clear")
    def clear() -> str:
        session.clear()
        return ""

    @app.post("/spoil")
    def spoil() -> str:
        session["written"] = "not saved"
        session["list"].append(object())
        return ""

    @app.post("/list")
    def start_list() -> str:
        session["list"] = []
        return ""

    return app.test_client()


def sign_in(client: FlaskClient) -> SessionId:
    response = client.post("/api/v1/accounts", json={"username": "ada", "password": PASSWORD})
    assert response.status_code == 201
    cookie = client.get_cookie("session")
    assert cookie is not None
    return SessionId(cookie.value)


@each
def test_no_request_gets_500_and_signing_out_ends_it(
    client: FlaskClient, redis: Redis, name: str
) -> None:
    session_id = sign_in(client)
    UNREADABLE[name](redis, key_of(session_id))
    for path, status in (
        ("/session", 200),
        ("/", 200),
        ("/account", 401),
        ("/auth/verify", 401),
        ("/api/v1/sessions/current", 401),
        ("/api/v1/sessions", 401),
        ("/api/v1/sessions/current/data", 200),
    ):
        assert client.get(path).status_code == status, path
    assert client.delete("/api/v1/sessions/current").status_code == 204
    assert client.get_cookie("session") is None
    assert not redis.exists(key_of(session_id))  # another version may read it: it ends there too


@each
def test_a_write_begins_a_new_session_under_a_new_id(
    client: FlaskClient, redis: Redis, name: str
) -> None:
    """G8: the id of what it cannot read is not adopted."""
    session_id = sign_in(client)
    UNREADABLE[name](redis, key_of(session_id))
    assert client.post("/session/colour").status_code == 200
    cookie = client.get_cookie("session")
    assert cookie is not None
    assert cookie.value != session_id.value
    assert client.get("/session").json == {"colour": "written"}
    assert client.get("/api/v1/sessions/current").status_code == 401


VALUES = {
    "no msgpack": b"\xc1",
    "nothing": b"",
    "cut off": b"\x92\x01",
    "more than a value": b"\x01\x01",
    "a pickle": b"cposix\nsystem\n(Vtouch /tmp/x\ntR.",
    "a string that is no text": b"\xa1\xff",
    "an unknown extension": b"\xd4\x63\x00",
    "a date that does not exist": b"\xc7\x0a\x082024-02-30",
    "a date that is no date": b"\xd4\x08\xff",
    "a UUID of one byte": b"\xd4\x0ax",
    "a decimal that is no number": b"\xd4\x0bx",
    "a set of lists": b"\xd5\x02\x91\x90",
    "half a mapping": b"\xc7\x04\x04\x93\x01\x02\x03",
    "a duration beyond all bounds": b"\xc7\x0c\x09\x93\xce\xff\xff\xff\xff\x00\x00",
    "a map with a key that cannot be one": b"\x81\x80\x01",
    "very deep": b"\x91" * 50_000 + b"\xc0",
}


@pytest.mark.parametrize("value", VALUES.values(), ids=list(VALUES))
def test_a_value_that_cannot_be_read_is_absent_and_stays_for_those_who_can_read_it(
    client: FlaskClient, redis: Redis, value: bytes, logs: Logs
) -> None:
    client.post("/session/colour")
    (key,) = redis.keys()
    redis.hset(key, mapping={b":unreadable": value, b":\xff": b"\x01", b"=\xff": b"\x01"})
    logs.clear()
    assert client.get("/session").json == {"colour": "written"}
    assert [line["event"] for line in logs] == ["session_values_unreadable"]
    cookie = client.get_cookie("session")
    assert cookie is not None
    assert cookie.value not in repr(logs)
    client.post("/session/size")
    assert redis.hget(key, ":unreadable") == value
    assert client.get("/session").json == {"colour": "written", "size": "written"}
    client.post("/session/unreadable")
    assert client.get("/session").json["unreadable"] == "written"


def test_session_data_of_the_api_that_cannot_be_read_is_absent_too(
    client: FlaskClient, redis: Redis
) -> None:
    path = "/api/v1/sessions/current/data"
    client.patch(path, json={"colour": "red"})
    (key,) = redis.keys()
    redis.hset(key, "=unreadable", b"\xc1")
    assert client.get(path).json == {"colour": "red"}
    assert client.patch(path, json={"size": 5}).json == {"colour": "red", "size": 5}


def test_a_nested_change_that_cannot_be_stored_is_an_error_that_names_the_key(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    """All that the request changed is saved, or nothing."""
    client.post("/list")
    assert client.post("/spoil").status_code == 500
    lines = "".join(str(record.msg) for record in caplog.records)
    assert "TypeError: session['list'] cannot be stored: object" in lines.replace("\\", "")
    assert client.get("/session").json == {"list": []}
