"""`flask.session` is a dictionary: what Python does with one works, also before it is read, as with
Flask's own sessions."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from flask import Flask, current_app, jsonify, render_template_string, session
from flask.sessions import SecureCookieSession
from redis import Redis

from service.errors import SessionStoreUnavailable
from service.sessions.record import NewSession, Record
from service.sessions.rules import Limits, SessionRules
from service.sessions.session import Session
from service.sessions.store import SessionStore
from service.sessions.values import encode

HELD = {"colour": "red", "size": 5}


@pytest.fixture
def record(redis: Redis) -> Record:
    limits = Limits(idle=1800, lifetime=43200)
    store = SessionStore(redis, SessionRules(limits, limits), 50)
    return store.create(NewSession(), {key: encode(value) for key, value in HELD.items()})


def unread(record: Record) -> Session:
    return Session(lambda: record)


def keywords(**named: Any) -> dict[str, Any]:
    return named


READING: list[Callable[[Any], Any]] = [
    dict,
    list,
    set,
    sorted,
    len,
    bool,
    copy.copy,
    copy.deepcopy,
    lambda session: session.copy(),
    lambda session: {**session},
    lambda session: keywords(**session),
    lambda session: [*session],
    lambda session: session | {"size": 6, "new": 1},
    lambda session: {"size": 6, "new": 1} | session,
    lambda session: session == HELD,
    lambda session: HELD == session,  # noqa: SIM300
    lambda session: session != HELD,
    lambda session: "colour" in session,
    lambda session: session["colour"],
    lambda session: session.get("colour"),
    lambda session: session.get("none", 1),
    lambda session: list(session.keys()),
    lambda session: list(session.values()),
    lambda session: list(session.items()),
    lambda session: list(reversed(session)),
    lambda session: "%(colour)s" % session,  # noqa: UP031
    lambda session: "{colour}".format_map(session),
    lambda session: dict.fromkeys(session, 1),
    lambda session: isinstance(session, dict),
]
CHANGING: list[Callable[[Any], Any]] = [
    lambda session: session.update({"a": 1}, b=2),
    lambda session: session.update([("a", 1)]),
    lambda session: session.setdefault("colour", "blue"),
    lambda session: session.setdefault("other", []),
    lambda session: session.pop("colour"),
    lambda session: session.pop("none", 1),
    lambda session: session.popitem(),
    lambda session: session.clear(),
    lambda session: session.__ior__({"a": 1}) and None,
    lambda session: session.__delitem__("colour"),
    lambda session: session.__setitem__("colour", "blue"),
]


@pytest.mark.parametrize("use", READING + CHANGING)
def test_a_session_does_what_a_dictionary_does(record: Record, use: Callable[[Any], Any]) -> None:
    ours, stock = unread(record), SecureCookieSession(HELD)
    assert use(ours) == use(stock)
    assert ours == dict(stock)


@pytest.mark.parametrize("use", [*READING, json.dumps, msgspec.json.encode])
def test_a_view_reads_the_session_although_c_code_reads_past_the_methods(
    app: Flask, record: Record, use: Callable[[Any], Any]
) -> None:
    """What a view holds is never unread, because Flask has marked it as used."""
    with app.test_request_context() as context:
        context._session = unread(record)
        assert use(session._get_current_object()) == use(dict(HELD))


def test_a_missing_key_is_a_key_error(record: Record) -> None:
    with pytest.raises(KeyError, match="none"):
        unread(record)["none"]
    with pytest.raises(KeyError, match="none"):
        unread(record).pop("none")


def test_a_session_is_read_once(record: Record) -> None:
    reads: list[int] = []

    def read() -> Record:
        reads.append(1)
        return record

    ours = Session(read)
    for use in READING:
        use(ours)
    assert len(reads) == 1


def test_a_read_that_failed_fails_again_at_the_next_use() -> None:
    """G10: an outage does not look like an empty session."""

    def fail() -> Record:
        raise SessionStoreUnavailable

    for use in READING[:-1] + CHANGING:
        ours = Session(fail)
        for _ in range(2):
            with pytest.raises(SessionStoreUnavailable):
                use(ours)


def test_only_what_changed_is_written_whatever_changed_it(record: Record) -> None:
    ours = unread(record)
    ours |= {"colour": "blue", "size": 5}
    ours.setdefault("list", []).append(1)
    change, _ = ours.changes()
    assert change.written == {"colour": encode("blue"), "list": encode([1])}
    assert change.removed == []
    ours.pop("size")
    change, _ = ours.changes()
    assert change.removed == ["size"]


def test_none_is_a_value(record: Record) -> None:
    ours = unread(record)
    ours["nothing"] = None
    change, _ = ours.changes()
    assert change.written == {"nothing": encode(None)}


def test_a_nested_change_of_type_is_a_change(record: Record) -> None:
    ours = Session(lambda: msgspec.structs.replace(record, fields={"a": encode([[1]])}))
    ours["a"][0] = (1,)
    change, _ = ours.changes()
    assert change.written == {"a": encode([(1,)])}


def test_modified_is_whether_something_will_be_saved(record: Record) -> None:
    ours = unread(record)
    assert not ours.modified
    ours["colour"] = "red"
    assert not ours.modified
    ours["colour"] = "blue"
    assert ours.modified


def test_after_modified_false_only_later_changes_are_saved(record: Record) -> None:
    ours = unread(record)
    ours["colour"] = "blue"
    ours.modified = False
    assert not ours.modified
    assert ours["colour"] == "blue"
    ours["size"] = 6
    change, _ = ours.changes()
    assert change.written == {"size": encode(6)}


def test_neither_repr_nor_a_copy_nor_a_pickle_shows_the_id(record: Record) -> None:
    """G8: whoever logs a session logs no id."""
    ours = unread(record)
    for text in (repr(ours), str(ours), f"{ours}", repr(pickle.dumps(ours)), str(ours.sid)):
        assert record.id.value not in text
        assert record.id.value[12:] not in text
    assert repr(ours) == f"<Session {HELD!r}>"
    for copied in (copy.copy(ours), copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert type(copied) is dict
        assert copied == HELD


def test_sid_is_the_handle_of_the_session_and_signs_nobody_in(record: Record) -> None:
    assert unread(record).sid == record.id.digest
    assert Session(lambda: None).sid is None


def test_a_view_may_return_its_session_as_json(app: Flask) -> None:
    with app.test_request_context():
        session["colour"] = "red"
        assert jsonify(session).json == {"colour": "red"}
        assert jsonify(page=[session]).json == {"page": [{"colour": "red"}]}
        with pytest.raises(TypeError, match="not JSON serializable"):
            jsonify(current_app)


def test_a_template_reads_the_session(app: Flask) -> None:
    with app.test_request_context():
        session["colour"] = "red"
        text = render_template_string("{{ session.colour }} {{ session | tojson }}")
    assert text == 'red {"colour": "red"}'
