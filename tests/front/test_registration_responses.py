"""Registrations through Flask alone and through the front, which must not differ."""

from __future__ import annotations

import json
from typing import Any

import pytest
from redis import Redis

from service.front.registrations import PATH
from tests.passwords import PASSWORD
from tests.ways import BothWays, Client, Way, fresh_name

TO_FLASK = {"Sec-Fetch-Site": "same-origin"}  # as a browser's own requests say


@pytest.mark.parametrize("headers", [{}, TO_FLASK])
def test_a_taken_name_is_rejected_in_every_spelling(way: Way, headers: dict[str, str]) -> None:
    client, name = way.client(), fresh_name("Bob")
    client.register(name)
    for spelling in (name, name.lower(), name.upper()):
        body = {"username": spelling, "password": PASSWORD}
        answer = way.client().post(PATH, json=body, headers=headers)
        assert (answer.status, answer.json["code"]) == (409, "username_taken")
        assert "Set-Cookie" not in answer.headers


def test_a_body_that_was_looked_at_reaches_flask_whole(way: Way) -> None:
    name = fresh_name("Alice")
    answer = way.client().post(PATH, json={"username": name, "password": PASSWORD})
    assert (answer.status, answer.json["account"]["username"]) == (201, name)


def test_another_site_is_rejected_before_it_learns_anything(way: Way) -> None:
    name = fresh_name()
    way.client().register(name)
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}):
        body = {"username": name, "password": PASSWORD}
        assert way.client().post(PATH, json=body, headers=headers).status == 403


def test_a_repeated_key_returns_its_account(way: Way) -> None:
    """G3: a client that lost the 201 gets it when it repeats the request."""
    body = {"username": fresh_name(), "password": PASSWORD}
    first, second = (
        way.client().post(PATH, json=body, headers={"Idempotency-Key": "mine"}) for _ in range(2)
    )
    assert first.status == second.status == 201
    assert first.json["account"] == second.json["account"]


def test_a_name_that_the_cache_has_forgotten_is_decided_by_the_index(
    way: Way, redis: Redis
) -> None:
    """G5: Redis is never the authority on names."""
    name = fresh_name()
    way.client().register(name)
    redis.flushall()
    assert way.client().post(PATH, json={"username": name, "password": PASSWORD}).status == 409


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"remember": True},
        {"remember": "yes"},
        {"remember": None},
        {"password": "short"},
        {"password": "x" * 257},
        {"password": "pässword pässword"},
        {"password": "nul\0nul\0nul"},
        {"password": None},
        {"username": 7},
        {"username": "a"},
        {"username": "root"},
        {"username": "x" * 33},
        {"username": "two words"},
        {"username": "nul\0"},
        {"more": [1, {"deep": None}]},
        {"more": "x" * 20_000},
    ],
    ids=lambda change: json.dumps(change)[:40],
)
def test_both_ways_reject_the_same_bodies_with_the_same_response(
    both_ways: BothWays, change: dict[str, Any]
) -> None:
    name = fresh_name()
    Client(both_ways.flask).register(name)
    body = {"username": name, "password": PASSWORD} | change
    assert both_ways.ask("POST", PATH, json=body).status in (409, 413, 422)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"nonsense",
        b"[]",
        b"null",
        b'"Bob"',
        b"[" * 12_000,
        b'{"username": "\xff"}',
        b"\xef\xbb\xbf{}",
        '{"username": "bob"}'.encode("utf-16"),
        b'{"username": NaN}',
    ],
)
def test_both_ways_reject_what_is_no_credentials_with_the_same_response(
    both_ways: BothWays, raw: bytes
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = both_ways.ask("POST", PATH, content=raw, headers=headers)
    assert answer.status in (400, 422)


@pytest.mark.parametrize(
    "kind",
    [
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "text/plain",
        "application/problem+json",
        "",
    ],
)
def test_both_ways_read_the_same_content_types(both_ways: BothWays, kind: str) -> None:
    name = fresh_name()
    Client(both_ways.flask).register(name)
    body = json.dumps({"username": name, "password": PASSWORD}).encode()
    answer = both_ways.ask("POST", PATH, content=body, headers={"Content-Type": kind})
    assert answer.status in (409, 415)


def test_both_ways_know_the_same_members_that_are_given_twice(both_ways: BothWays) -> None:
    name, free = fresh_name(), fresh_name()
    Client(both_ways.flask).register(name)
    raw = json.dumps({"username": free, "password": PASSWORD})[:-1] + f', "username": "{name}"}}'
    answer = both_ways.ask(
        "POST", PATH, content=raw.encode(), headers={"Content-Type": "application/json"}
    )
    assert answer.status == 409


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_both_ways_give_the_same_response_to_other_methods(
    both_ways: BothWays, method: str
) -> None:
    assert both_ways.ask(method, PATH).status in (200, 405)
