"""How much a session may hold: counted by the script that writes, in what is stored by then."""

from __future__ import annotations

import threading

import pytest
from redis import Redis

from service.errors import SessionTooLarge
from service.sessions import contents
from service.sessions.contents import ANONYMOUS_DATA, DATA, FLASK, Change, Namespace
from service.sessions.ids import new_locator
from service.sessions.record import NewSession, Owner, Record
from service.sessions.rules import Limits, SessionRules
from service.sessions.store import SessionStore
from tests.redis_engines import Masters

LIFE = Limits(idle=1800, lifetime=43200)
WRITERS, ROUNDS = 40, 3
TIMEOUT = 30  # seconds
BOB = NewSession(owner=Owner(1, "bob", 0.0), locator=new_locator(), epoch=0)
NAMESPACES = [
    pytest.param(BOB, "fields", FLASK, id="flask"),
    pytest.param(NewSession(), "fields", FLASK, id="flask-anonymous"),
    pytest.param(BOB, "data", DATA, id="data"),
    pytest.param(NewSession(), "data", ANONYMOUS_DATA, id="data-anonymous"),
]


@pytest.fixture
def sessions(either_redis: Redis | Masters) -> SessionStore:
    return SessionStore(either_redis, SessionRules(LIFE, LIFE), 50)


def held(sessions: SessionStore, record: Record, namespace: str) -> dict[str, bytes]:
    read = sessions.read(record.id)
    assert read is not None
    return dict(read.fields if namespace == "fields" else read.api_data)


def numbered(count: int) -> dict[str, bytes]:
    return {f"key{number}": b"x" for number in range(count)}


def of_size(size: int, key: str = "k") -> dict[str, bytes]:
    """One key that counts as `size` bytes."""
    return {key: b"x" * (size - len(key.encode()))}


def test_the_limits_are_those_of_the_contract() -> None:
    assert Namespace(b"=", 128, 65536) == DATA
    assert Namespace(b"=", 16, 4096) == ANONYMOUS_DATA
    assert Namespace(b":", 1024, 65536) == FLASK


@pytest.mark.parametrize(("new", "namespace", "limits"), NAMESPACES)
def test_a_session_holds_as_much_as_its_limits_and_no_more(
    sessions: SessionStore, new: NewSession, namespace: str, limits: Namespace
) -> None:
    record = sessions.create(new, {"held": b"1"}, {"held": b"1"})
    rest = limits.most_bytes - len("held") - 1
    assert sessions.save(record, **{namespace: Change(of_size(rest, "é"))})
    full = held(sessions, record, namespace)
    for written in ({"a": b""}, {"é": full["é"] + b"x"}, {"held": b"12"}):
        with pytest.raises(SessionTooLarge):
            sessions.save(record, **{namespace: Change(written)})
    assert held(sessions, record, namespace) == full
    assert sessions.save(record, **{namespace: Change({"a": b""}, ["held"])})

    record = sessions.create(new, numbered(2), numbered(2))
    assert sessions.save(record, **{namespace: Change(numbered(limits.most_keys))})
    for change in (Change({"a": b"x"}), Change({"a": b"x", "key1": b"y"}, ["absent"])):
        with pytest.raises(SessionTooLarge):
            sessions.save(record, **{namespace: change})
    assert held(sessions, record, namespace) == numbered(limits.most_keys)
    assert sessions.save(record, **{namespace: Change({"a": b"x"}, ["key0"])})


@pytest.mark.parametrize(("new", "namespace", "limits"), NAMESPACES)
def test_a_new_session_is_held_to_the_same_limits(
    sessions: SessionStore,
    either_redis: Redis,
    new: NewSession,
    namespace: str,
    limits: Namespace,
) -> None:
    for written in (numbered(limits.most_keys + 1), of_size(limits.most_bytes + 1)):
        with pytest.raises(SessionTooLarge):
            sessions.create(new, **{namespace: written})
    assert either_redis.dbsize() == 0
    for written in (numbered(limits.most_keys), of_size(limits.most_bytes)):
        assert sessions.create(new, **{namespace: written})


def test_each_namespace_has_limits_of_its_own(sessions: SessionStore) -> None:
    record = sessions.create(BOB, of_size(FLASK.most_bytes), of_size(DATA.most_bytes))
    assert sessions.save(record, Change({"k": b"1"}), Change({"k": b"2"}))


@pytest.mark.parametrize("over", ["fields", "data"])
def test_a_change_of_both_namespaces_is_written_whole_or_not_at_all(
    sessions: SessionStore, over: str
) -> None:
    record = sessions.create(BOB, of_size(60_000), of_size(60_000))
    changes = {"fields": Change({"a": b"1"}), "data": Change({"a": b"1"})}
    with pytest.raises(SessionTooLarge):
        sessions.save(record, **(changes | {over: Change(of_size(6_000, "a"), ["absent"])}))
    assert sessions.read(record.id) == record


@pytest.fixture
def crowded(sessions: SessionStore, monkeypatch: pytest.MonkeyPatch) -> Record:
    """A session from a time when it could hold more."""
    with monkeypatch.context() as before:
        before.setattr(contents, "DATA", Namespace(b"=", 1000, 1_000_000))
        large = of_size(50_000, "k") | of_size(50_000, "l")
        return sessions.create(BOB, {}, numbered(200) | large)


def test_a_session_over_its_limits_can_shrink_and_cannot_grow(
    sessions: SessionStore, crowded: Record
) -> None:
    assert sessions.save(crowded, data=Change({"k": b"x" * 40_000, "key1": b"y"}, ["key0"]))
    assert sessions.save(crowded, data=Change({}, ["key1", "key2"]))
    for written in ({"a": b"x"}, {"key3": b"xy"}, {"key3": b"x" * 60_000}):
        with pytest.raises(SessionTooLarge):
            sessions.save(crowded, data=Change(written))
    assert len(held(sessions, crowded, "data")) == 199


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize(("new", "namespace", "limits"), NAMESPACES[2:])
def test_concurrent_writers_of_different_keys_do_not_get_past_the_limits(
    sessions: SessionStore, new: NewSession, namespace: str, limits: Namespace, size: int
) -> None:
    """G15: each of them read a session with room for what it writes."""
    each = limits.most_keys // 8 if size == 1 else 1
    value = b"x" * max(size, limits.most_bytes // 16 if size > 1 else 1)
    for _ in range(ROUNDS):
        record, barrier = sessions.create(new, {}, {"first": b"1"}), threading.Barrier(WRITERS)
        saved: list[int] = []

        def write(
            number: int, record: Record = record, barrier: threading.Barrier = barrier
        ) -> None:
            written = {f"k{number}-{part}": value for part in range(each)}
            barrier.wait(TIMEOUT)
            try:
                sessions.save(record, data=Change(written))
            except SessionTooLarge:
                return
            saved.append(number)  # noqa: B023

        threads = [threading.Thread(target=write, args=(n,)) for n in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT)
        found = held(sessions, record, namespace)
        assert len(found) == 1 + each * len(saved)
        assert 0 < len(saved) < WRITERS
        assert len(found) <= limits.most_keys
        assert sum(len(k) + len(v) for k, v in found.items()) <= limits.most_bytes


def test_what_is_too_much_for_any_session_is_not_even_sent(
    sessions: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = sessions.create(BOB)

    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(sessions, "_run", fail)
    with pytest.raises(SessionTooLarge):
        sessions.save(record, Change(of_size(FLASK.most_bytes + 1)))
