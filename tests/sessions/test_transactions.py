"""`session_transaction()` of Flask's test client says so if it saved nothing."""

from __future__ import annotations

import json
from contextlib import ExitStack

import pytest
from flask import Flask, session
from flask.testing import FlaskClient
from redis import Redis

from service.embedded import RedisEngine
from service.errors import SessionStoreUnavailable, SessionTooLarge
from tests.faults import frozen


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    app.add_url_rule("/session", view_func=lambda: dict(session))
    return app.test_client()


def test_the_next_request_sees_what_a_transaction_saved(client: FlaskClient) -> None:
    with client.session_transaction() as transaction:
        transaction["colour"] = "red"
    with client.session_transaction() as transaction:
        assert json.dumps(transaction) == '{"colour": "red"}'
        transaction.update(size=5)
    assert client.get("/session").json == {"colour": "red", "size": 5}


def test_a_transaction_that_changes_nothing_is_no_error(client: FlaskClient, redis: Redis) -> None:
    with client.session_transaction() as transaction:
        assert transaction == {}
    assert redis.dbsize() == 0


def test_the_session_ended_meanwhile(client: FlaskClient, redis: Redis) -> None:
    for change in ({"colour": "blue"}, None):
        with client.session_transaction() as transaction:
            transaction["colour"] = "red"
        with pytest.raises(RuntimeError, match="nothing was saved: the session has ended"):  # noqa: SIM117
            with client.session_transaction() as transaction:
                redis.flushall()
                transaction.update(change or {})
                transaction.permanent = True
    assert redis.dbsize() == 0


def test_a_permanent_session_without_keys(client: FlaskClient) -> None:
    with pytest.raises(RuntimeError, match="without keys"):  # noqa: SIM117
        with client.session_transaction() as transaction:
            transaction.permanent = True


def test_it_would_hold_too_much(client: FlaskClient) -> None:
    with pytest.raises(SessionTooLarge):  # noqa: SIM117
        with client.session_transaction() as transaction:
            transaction["much"] = "x" * 70_000


def test_redis_does_not_answer(client: FlaskClient, redis_engine: RedisEngine) -> None:
    with client.session_transaction() as transaction:
        transaction["colour"] = "red"
    with frozen(redis_engine), pytest.raises(SessionStoreUnavailable):  # noqa: SIM117
        with client.session_transaction():
            pytest.fail("the session was opened")
    with ExitStack() as fault, pytest.raises(SessionStoreUnavailable):  # noqa: SIM117
        with client.session_transaction() as transaction:
            transaction["colour"] = "blue"
            fault.enter_context(frozen(redis_engine))


def test_a_value_that_became_unstorable(client: FlaskClient) -> None:
    with client.session_transaction() as transaction:
        transaction["list"] = []
    with pytest.raises(TypeError, match=r"session\['list'\]"):  # noqa: SIM117
        with client.session_transaction() as transaction:
            transaction["list"].append(object())
