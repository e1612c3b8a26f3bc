"""HEAD, OPTIONS and methods that an address does not have, whichever way they come."""

from __future__ import annotations

import re

import psycopg
import pytest
from flask import Flask
from redis import Redis

from tests.ways import Answer, BothWays, Client, Way, fresh_name

ARGUMENT = re.compile(r"<(?:\w+:)?\w+>")
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE")
PAGE = {"Accept": "text/html"}
OTHER_SITE = {
    "Origin": "https://elsewhere.example",
    "Sec-Fetch-Site": "cross-site",
    "Access-Control-Request-Method": "POST",
}
# Their bodies tell the time or a number that counts requests.
CHANGING = {"/metrics"}


@pytest.fixture
def addresses(app: Flask) -> dict[str, set[str]]:
    """The methods of every address; an argument is `x`."""
    found: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        path = ARGUMENT.sub("x", rule.rule)
        found.setdefault(path, set()).update(rule.methods or ())
    return found


def allowed(answer: Answer) -> set[str]:
    return set(answer.headers["Allow"].split(", "))


def test_every_address_says_which_methods_it_has(
    both_ways: BothWays, addresses: dict[str, set[str]]
) -> None:
    for path, methods in addresses.items():
        answer = both_ways.ask("OPTIONS", path, headers=OTHER_SITE)
        assert (answer.status, answer.body, allowed(answer)) == (200, b"", methods), path
        assert answer.headers["Content-Length"] == "0"
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_method_that_an_address_lacks_is_405_and_names_those_it_has(
    both_ways: BothWays, addresses: dict[str, set[str]]
) -> None:
    for path, methods in addresses.items():
        for method in {*METHODS} - methods:
            answer = both_ways.ask(method, path)
            assert (answer.status, allowed(answer)) == (405, methods), (method, path)


@pytest.mark.parametrize("accept", ["*/*", "text/html"])
@pytest.mark.parametrize("signed_in", [False, True])
def test_head_says_what_get_says_without_the_body(
    way: Way, addresses: dict[str, set[str]], signed_in: bool, accept: str
) -> None:
    client = way.client()
    if signed_in:
        client.register(fresh_name())
    for path in (path for path, methods in addresses.items() if "GET" in methods):
        get, head = (client.request(m, path, headers={"Accept": accept}) for m in ("GET", "HEAD"))
        assert "HEAD" in addresses[path]
        assert head.meaning == get._replace(body=b"").meaning, path
        if path not in CHANGING:
            assert head.headers.get("content-length") == get.headers.get("content-length"), path


def test_neither_head_nor_options_leaves_anything_behind(
    way: Way, addresses: dict[str, set[str]], redis: Redis, database: psycopg.Connection
) -> None:
    for path, methods in addresses.items():
        for method in methods & {"HEAD", "OPTIONS"}:
            answer = way.client().request(method, path, headers=PAGE)
            assert "Set-Cookie" not in answer.headers, (method, path)
    assert redis.dbsize() == 0
    for table in ("accounts", "audit", "revocations", "known_devices"):
        assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_options_does_not_count_as_a_use_of_the_session(way: Way, redis: Redis) -> None:
    client = way.client()
    client.register(fresh_name())
    (key,) = redis.keys("*:session:*")
    long_ago = int(redis.hget(key, "seen")) - 120_000
    redis.hset(key, "seen", long_ago)
    for path in ("/", "/auth/verify", "/api/v1/sessions/current", "/account"):
        assert client.request("OPTIONS", path).status == 200
    assert int(redis.hget(key, "seen")) == long_ago
    assert client.head("/account").status == 200
    assert int(redis.hget(key, "seen")) > long_ago


def test_head_sends_people_to_the_sign_in_form_as_get_does(both_ways: BothWays) -> None:
    assert both_ways.ask("HEAD", "/account", headers=PAGE).status == 303


def test_options_of_nowhere_is_404(both_ways: BothWays) -> None:
    assert both_ways.ask("OPTIONS", "/nowhere").status == 404


def test_an_unsafe_request_of_another_site_is_still_rejected(both_ways: BothWays) -> None:
    client = Client(both_ways.front)
    assert client.post("/logout", headers=OTHER_SITE).status == 403
