"""Who is signed in: for a proxy that asks before every request of other applications, and for
clients of the API."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from flask import Flask
from prometheus_client import REGISTRY
from redis import Redis

from service.errors import SessionStoreUnavailable
from service.web import security_headers
from service.web.gate import CURRENT, VERIFY

PASSWORD = "correct horse battery"


@pytest.mark.parametrize("username", ["Bob", "曼德勒"])
def test_it_says_who_is_signed_in(app: Flask, username: str) -> None:
    client = app.test_client()
    body = {"username": username, "password": PASSWORD}
    registered = client.post("/api/v1/accounts", json=body).json
    answer = client.get(VERIFY)
    assert answer.status_code == 200
    assert answer.data == b""
    assert answer.headers["X-Auth-Account-Id"] == str(registered["account"]["id"])
    assert unquote(answer.headers["X-Auth-Username"]) == username
    assert answer.headers["X-Auth-Username"].isascii()
    assert answer.headers["X-Auth-Session"] == registered["session"]["handle"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Vary"] == "Cookie"


@pytest.mark.parametrize("cookie", [None, "", "nonsense", "A" * 55, "A" * 54, "A" * 56])
def test_it_knows_nobody_without_a_session_of_ours(app: Flask, cookie: str | None) -> None:
    client = app.test_client()
    if cookie is not None:
        client.set_cookie("session", cookie)
    answer = client.get(VERIFY)
    assert (answer.status_code, answer.data) == (401, b"")
    assert "Set-Cookie" not in answer.headers


def test_an_anonymous_session_is_nobody(app: Flask) -> None:
    client = app.test_client()
    client.patch("/api/v1/sessions/current/data", json={"colour": "red"})
    assert client.get_cookie("session") is not None
    assert client.get(VERIFY).status_code == 401


def test_g6_it_refuses_a_session_from_the_moment_it_is_revoked(app: Flask) -> None:
    client, thief = app.test_client(), app.test_client()
    client.post("/api/v1/accounts", json={"username": "Bob", "password": PASSWORD})
    thief.set_cookie("session", client.get_cookie("session").value)
    assert thief.get(VERIFY).status_code == 200
    client.delete("/api/v1/sessions/current")
    assert thief.get(VERIFY).status_code == 401


def test_it_reads_other_cookies_over(app: Flask) -> None:
    client = app.test_client()
    client.post("/api/v1/accounts", json={"username": "Bob", "password": PASSWORD})
    cookie = client.get_cookie("session").value
    stranger = app.test_client(use_cookies=False)
    for header in (f"a=b; session={cookie}", f"xsession=1;session={cookie}; session=2"):
        assert stranger.get(VERIFY, headers={"Cookie": header}).status_code == 200
    for header in (f"sessions={cookie}", f"session=1; session={cookie}", f"Session={cookie}"):
        assert stranger.get(VERIFY, headers={"Cookie": header}).status_code == 401


def test_g10_an_outage_is_503_and_leaves_the_cookie_alone(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = app.test_client()
    client.post("/api/v1/accounts", json={"username": "Bob", "password": PASSWORD})

    def down(*_: object) -> None:
        raise SessionStoreUnavailable

    monkeypatch.setattr("service.sessions.store.SessionStore.read", down)
    answer = client.get(VERIFY)
    assert (answer.status_code, answer.data) == (503, b"")
    assert answer.headers["Retry-After"] == "1"
    assert "Set-Cookie" not in answer.headers


def test_g9_asking_keeps_the_session_alive(app: Flask, redis: Redis) -> None:
    client = app.test_client()
    client.post("/api/v1/accounts", json={"username": "Bob", "password": PASSWORD})
    (key,) = redis.keys("*:session:*")
    long_ago = int(redis.hget(key, "seen")) - 120_000
    redis.hset(key, "seen", long_ago)
    assert client.get(VERIFY).status_code == 200
    assert int(redis.hget(key, "seen")) > long_ago


def test_every_answer_is_counted(app: Flask) -> None:
    def count(outcome: str) -> float:
        return REGISTRY.get_sample_value("coatcheck_session_reads_total", {"outcome": outcome}) or 0

    client = app.test_client()
    client.post("/api/v1/accounts", json={"username": "Bob", "password": PASSWORD})
    found, absent = count("found"), count("absent")
    client.get(VERIFY)
    client.set_cookie("session", "A" * 55)
    client.get(VERIFY)
    client.get("/api/v1/sessions/current")
    assert (count("found"), count("absent")) == (found + 1, absent + 2)


@pytest.mark.parametrize("path", [VERIFY, CURRENT])
def test_head_says_what_get_says_without_the_body(app: Flask, path: str) -> None:
    client = app.test_client()
    for _ in range(2):
        get, head = client.get(path), client.head(path)
        assert (head.status, head.headers, head.data) == (get.status, get.headers, b"")
        client.post("/api/v1/accounts", json={"username": "Bob", "password": PASSWORD})


def test_what_clients_ask_carries_the_headers_of_every_other_answer(app: Flask) -> None:
    client = app.test_client()
    answer = client.get(CURRENT)
    assert (answer.status_code, answer.json["code"]) == (401, "not_signed_in")
    for name, value in security_headers.HEADERS:
        assert answer.headers[name] == value
    assert answer.content_type == "application/problem+json"


def test_a_full_redis_still_tells_who_is_signed_in_and_lets_them_out(
    app: Flask, redis: Redis
) -> None:
    """Reading may have to note that the session is used, and there is no room to."""
    client = app.test_client()
    client.post("/api/v1/accounts", json={"username": "Bob", "password": PASSWORD})
    (key,) = redis.keys("*:session:*")
    redis.hset(key, "seen", int(redis.hget(key, "seen")) - 120_000)
    redis.config_set("maxmemory", 1)
    try:
        assert client.get(VERIFY).status_code == 200
        assert client.get("/api/v1/sessions/current").status_code == 200
        assert client.delete("/api/v1/sessions/current").status_code == 204
        assert client.get(VERIFY).status_code == 401
    finally:
        redis.config_set("maxmemory", 0)
