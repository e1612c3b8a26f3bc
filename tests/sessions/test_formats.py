"""Sessions of every version that was ever in use stay readable, and show what they showed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from redis import Redis

from service.sessions import keys
from service.sessions.ids import SessionId
from service.sessions.record import Metadata, Owner, Record
from service.sessions.rules import Limits, SessionRules
from service.sessions.session import Session
from service.sessions.store import SessionStore
from service.sessions.values import encode

ID = SessionId("abcdefghijkl" + "s" * 43)
KEY = keys.session_key(ID.locator, ID.digest)
RULES = SessionRules(Limits(idle=1800, lifetime=43200), Limits(idle=86400, lifetime=864000))
OWNER = Owner(7, "ada", 1700000000.5)
HOUR = 3_600_000  # milliseconds

# As Redis returned them, apart from the times.
OWNER_BYTES = b"\x93\x07\xa3ada\xcb\x41\xd9\x54\xfc\x40\x20\x00\x00"
VALUES = {
    b":colour": b"\xa3red",
    b":user": b"\x07",
    b":list": b"\x92\x01\x93\xa1a\xc0\xc3",
    b":nested": b"\x81\xa1a\x81\xa1b\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00",
    b":bytes": b"\xc4\x02\x00\xff",
    b":numbers": b"\x82\x01\xa3one\xc0\xa4none",  # keys that are no strings
    b":time": b"\xd7\xff\x00\x00\x00\x00\x65\x53\xf1\x00",  # msgpack's own type for a time
    b":nan": b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
    b":_permanent": b"\xc3",
}
READ = {
    "colour": "red",
    "user": 7,
    "list": [1, ["a", None, True]],
    "nested": {"a": {"b": 1.5}},
    "bytes": b"\x00\xff",
    "numbers": {1: "one", None: "none"},
    "time": datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
    "_permanent": True,
}
FORMATS: dict[str, dict[bytes, bytes]] = {
    "first": {b".": b"\x94" + OWNER_BYTES + b"\xc2\xa9192.0.2.1\xa9a browser"},
    "first, remembered": {b".": b"\x94" + OWNER_BYTES + b"\xc3\xa0\xa0"},
    "first, anonymous": {b".": b"\x94\xc0\xc2\xa0\xa0"},
    "with methods": {
        b".": b"\x95" + OWNER_BYTES + b"\xc2\xa9192.0.2.1\xa9a browser\x91\xa8password"
    },
    "with a time of authentication": {
        b".": b"\x95" + OWNER_BYTES + b"\xc2\xa0\xa0\x92\xa8password\xa4totp",
        b"authenticated": b"%(authenticated)d",
    },
    "with an epoch and data of the API": {
        b".": b"\x95" + OWNER_BYTES + b"\xc2\xa0\xa0\x91\xa8password",
        b"epoch": b"3",
        b"=colour": b"\xa4blue",
    },
    "version 1": {
        b".": b"\x96" + OWNER_BYTES + b"\xc2\xa0\xa0\x91\xa8password\x01",
        b"epoch": b"3",
        b":tuple": b"\xc7\x03\x01\x92\x01\x02",
        b"=colour": b"\xa4blue",
    },
    "version 1, made permanent by a view": {
        b".": b"\x96\xc0\xc2\xa0\xa0\x90\x01",
        b"remember": b"1",
        b"idle": b"300000",
    },
}


@pytest.fixture
def store(redis: Redis) -> SessionStore:
    return SessionStore(redis, RULES, 50)


def planted(redis: Redis, store: SessionStore, name: str) -> Record:
    """The session that another version has left."""
    now = int(redis.time()[0]) * 1000
    times = {"created": now - HOUR, "seen": now - 10, "deadline": now + HOUR}
    fields = dict(FORMATS[name])
    if b"authenticated" in fields:
        fields[b"authenticated"] = b"%d" % (now - 1000)
    redis.hset(KEY, mapping={**times, **VALUES, **fields})
    record = store.read(ID)
    assert record is not None, name
    assert (record.created, record.seen, record.deadline) == tuple(times.values())
    return record


@pytest.mark.parametrize("name", FORMATS)
def test_a_session_of_an_earlier_version_is_read(
    redis: Redis, store: SessionStore, name: str
) -> None:
    record = planted(redis, store, name)
    session = Session(lambda: record)
    nan = session.pop("nan")
    assert nan != nan
    assert session.pop("tuple", (1, 2)) == (1, 2)
    assert session == READ
    assert dict(session.api_data) == ({"colour": "blue"} if b"=colour" in FORMATS[name] else {})
    assert session.owner == (None if b"\xc0\xc2" in FORMATS[name][b"."][:3] else OWNER)


@pytest.mark.parametrize("name", FORMATS)
def test_reading_it_writes_nothing_and_writing_it_keeps_the_rest(
    redis: Redis, store: SessionStore, name: str
) -> None:
    """G11: a new version does not rewrite what it reads."""
    record = planted(redis, store, name)
    before = redis.hgetall(KEY)
    session = Session(lambda: record)
    assert dict(session)
    assert not session.modified
    session["colour"] = "green"
    session["numbers"][2] = "two"
    fields, _ = session.changes()
    assert store.save(record, fields)
    numbers = encode({1: "one", None: "none", 2: "two"})
    assert redis.hgetall(KEY) == {**before, b":colour": b"\xa5green", b":numbers": numbers}


def test_what_the_metadata_of_each_version_says(redis: Redis, store: SessionStore) -> None:
    def metadata(name: str) -> Metadata:
        return planted(redis, store, name).metadata

    assert metadata("first") == Metadata(OWNER, False, "192.0.2.1", "a browser", (), 0)
    assert metadata("first, remembered").remember
    assert metadata("with methods").methods == ("password",)
    authenticated = planted(redis, store, "with a time of authentication")
    assert authenticated.authenticated_at > authenticated.created
    assert authenticated.metadata.methods == ("password", "totp")
    assert metadata("version 1") == Metadata(OWNER, False, "", "", ("password",), 1)
    permanent = planted(redis, store, "version 1, made permanent by a view")
    assert permanent.metadata.remember
    assert permanent.idle == 300_000


def test_the_extension_codes_in_redis_never_change() -> None:
    codes: list[tuple[Any, bytes]] = [
        ((1,), b"\xd5\x01\x91\x01"),
        ({1}, b"\xd5\x02\x91\x01"),
        (frozenset({1}), b"\xd5\x03\x91\x01"),
        ({1: 2}, b"\xc7\x03\x04\x92\x01\x02"),
        (2**64, b"\xc7\x09\x05\x01\x00\x00\x00\x00\x00\x00\x00\x00"),
        (bytearray(b"a"), b"\xd4\x06a"),
        (
            datetime(2024, 1, 2, 3, 4, tzinfo=UTC),
            b"\xc7\x17\x07\x93\xb32024-01-02T03:04:00\x00\x00",
        ),
    ]
    for value, encoded in codes:
        assert encode(value) == encoded
