"""Registrations that are refused in front of Flask, and everything that reaches it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from service.accounts import registration, username_cache, usernames
from service.accounts.passwords import PasswordHasher
from service.web import admission
from service.web.services import EXTENSION

PATH = "/api/v1/accounts"
PASSWORD = "correct horse battery"
BOB = {"username": "Bob", "password": PASSWORD}
TO_FLASK = {"Sec-Fetch-Site": "same-origin"}  # as a browser's own requests say


@pytest.fixture
def taken(app: Flask) -> Flask:
    assert app.test_client().post(PATH, json=BOB).status_code == 201
    return app


def test_a_plain_duplicate_never_reaches_flask(app: Flask) -> None:
    reached: list[str] = []
    app.before_request(lambda: reached.append("flask"))
    app.test_client().post(PATH, json=BOB)
    reached.clear()
    for username in ("Bob", "bob", "BOB"):
        answer = app.test_client().post(PATH, json=BOB | {"username": username})
        assert (answer.status_code, answer.json["code"]) == (409, "username_taken")
    assert reached == []
    app.test_client().post(PATH, json=BOB, headers=TO_FLASK)
    assert reached == ["flask"]


@pytest.mark.parametrize(
    "body",
    [
        BOB,
        BOB | {"remember": True},
        BOB | {"remember": "yes"},
        BOB | {"password": "short"},
        BOB | {"password": None},
        BOB | {"username": 7},
        BOB | {"username": "a"},
        BOB | {"username": "root"},
        {"username": "Bob"},
        [],
        "Bob",
        None,
    ],
)
def test_it_answers_as_flask_does(taken: Flask, body: Any) -> None:
    client = taken.test_client()
    here, there = (client.post(PATH, json=body, headers=headers) for headers in ({}, TO_FLASK))
    assert (here.status_code, here.data) == (there.status_code, there.data)
    assert sorted(here.headers) == sorted(there.headers)


@pytest.mark.parametrize("raw", [b"", b"{", b"[" * 20_000, b'{"username": "\xff"}', b"nonsense"])
def test_what_is_no_json_is_left_to_flask(taken: Flask, raw: bytes) -> None:
    answer = taken.test_client().post(PATH, data=raw, content_type="application/json")
    assert answer.status_code in (400, 413)


def test_a_body_that_was_looked_at_reaches_flask_whole(taken: Flask) -> None:
    answer = taken.test_client().post(PATH, json={"username": "Alice", "password": PASSWORD})
    assert (answer.status_code, answer.json["account"]["username"]) == (201, "Alice")


def test_another_site_is_refused_before_it_learns_anything(taken: Flask) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}):
        assert taken.test_client().post(PATH, json=BOB, headers=headers).status_code == 403


def test_the_own_key_finds_the_own_account(app: Flask) -> None:
    for _ in range(2):
        answer = app.test_client().post(PATH, json=BOB, headers={"Idempotency-Key": "mine"})
        assert answer.status_code == 201


def test_a_name_that_the_cache_has_forgotten_is_decided_by_the_index(
    taken: Flask, redis: Redis
) -> None:
    redis.flushall()
    assert taken.test_client().post(PATH, json=BOB).status_code == 409


def test_other_methods_and_types_are_left_to_flask(taken: Flask) -> None:
    client = taken.test_client()
    assert client.get(PATH).status_code == 405
    raw = json.dumps(BOB)
    assert client.post(PATH, data=raw, content_type="text/plain").status_code == 415
    form = "application/json; charset=utf-8"
    assert client.post(PATH, data=raw, content_type=form).status_code == 409


def test_a_hot_duplicate_asks_redis_once_in_a_while(
    taken: Flask, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is taken stays so."""
    client = taken.test_client()
    for remembered, looks in ((60.0, 1), (0.0, 20)):
        monkeypatch.setattr(registration, "REMEMBERED", remembered)
        redis.config_resetstat()
        for _ in range(20):
            assert client.post(PATH, json=BOB).status_code == 409
        assert redis.info("commandstats")["cmdstat_get"]["calls"] == looks


def test_a_worker_remembers_so_many_names(
    app: Flask, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(username_cache, "MOST_REMEMBERED", 2)
    cache = app.extensions[EXTENSION].username_cache
    for name in ("ada", "bob", "cy", "bob", "dan"):
        redis.set(f"coatcheck:username:{name}", "taken:")
        cache.state(usernames.parse(name))
    known = {n for n in ("ada", "bob", "cy", "dan") if cache.seen_taken(usernames.parse(n)) < 60}
    assert known == {"bob", "dan"}


def test_without_room_for_a_hash_names_are_refused_that_nobody_remembers(
    taken: Flask, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any other work, which would take the time of those who are being registered."""
    monkeypatch.setattr(PasswordHasher, "is_full", True)
    client = taken.test_client()
    redis.config_resetstat()
    for headers in ({}, TO_FLASK):
        for body in (BOB, BOB | {"username": "Alice"}):
            refused = client.post(PATH, json=body, headers=headers)
            assert (refused.status_code, refused.json["code"]) == (503, "unavailable")
            assert refused.headers["Retry-After"] == "1"
    stats = redis.info("commandstats")
    assert not {"cmdstat_get", "cmdstat_evalsha"} & set(stats)


@pytest.mark.parametrize("remembered", [60.0, 0.0])
def test_without_room_for_a_hash_a_hot_duplicate_is_told(
    taken: Flask, monkeypatch: pytest.MonkeyPatch, remembered: float
) -> None:
    client = taken.test_client()
    assert client.post(PATH, json=BOB).status_code == 409
    monkeypatch.setattr(PasswordHasher, "is_full", True)
    monkeypatch.setattr(registration, "REMEMBERED", remembered)
    assert client.post(PATH, json=BOB).status_code == 409


def test_a_name_that_was_given_back_is_refused_no_longer_than_it_is_remembered(
    taken: Flask, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = taken.test_client()
    assert client.post(PATH, json=BOB).status_code == 409
    monkeypatch.setattr(registration, "REMEMBERED", 0.0)
    redis.flushall()
    monkeypatch.setattr(PasswordHasher, "is_full", True)
    assert client.post(PATH, json=BOB).status_code == 503


def test_a_refusal_from_memory_lets_other_connections_have_their_turn(
    taken: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gevent turns to them when somebody waits. Who always has a next duplicate ready would keep
    checks of sessions waiting for 0.2 seconds."""
    client = taken.test_client()
    assert client.post(PATH, json=BOB).status_code == 409
    paused: list[float] = []
    monkeypatch.setattr(admission.time, "sleep", paused.append)
    assert client.post(PATH, json=BOB).status_code == 409
    assert paused == [0]
