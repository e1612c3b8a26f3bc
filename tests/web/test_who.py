"""Who is signed in: for a proxy that asks before every request of other applications, and for
clients of the API; and whether the process lives. The front answers all of these before Flask."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from redis import Redis

from service.embedded import RedisEngine
from service.web import security_headers
from service.web.who import CURRENT, VERIFY
from tests.conditions import eventually
from tests.faults import frozen
from tests.ways import BothWays, Client, Way, fresh_name

ALIVE = "/healthz"
DATA = "/api/v1/sessions/current/data"


@pytest.mark.parametrize("stem", ["Bob", "曼德勒"])
def test_it_says_who_is_signed_in(way: Way, stem: str) -> None:
    client, username = way.client(), fresh_name(stem)
    registered = client.register(username)
    answer = client.get(VERIFY)
    assert answer.status == 200
    assert answer.body == b""
    assert answer.headers["X-Auth-Account-Id"] == str(registered["account"]["id"])
    assert unquote(answer.headers["X-Auth-Username"]) == username
    assert answer.headers["X-Auth-Username"].isascii()
    assert answer.headers["X-Auth-Session"] == registered["session"]["handle"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Vary"] == "Cookie"
    current = client.get(CURRENT)
    assert (current.status, current.json["account"]) == (200, registered["account"])
    assert current.json["session"]["handle"] == registered["session"]["handle"]


@pytest.mark.parametrize("cookie", [None, "", "nonsense", "A" * 55, "A" * 54, "A" * 56])
def test_a_request_without_a_valid_session_is_401(way: Way, cookie: str | None) -> None:
    client = way.client()
    client.cookie = cookie
    for path in (VERIFY, CURRENT):
        answer = client.get(path)
        assert answer.status == 401
        assert "Set-Cookie" not in answer.headers


def test_an_anonymous_session_is_nobody(way: Way) -> None:
    client = way.client()
    client.patch(DATA, json={"colour": "red"})
    assert client.cookie is not None
    assert client.get(VERIFY).status == client.get(CURRENT).status == 401


def test_it_rejects_a_session_from_the_moment_it_is_revoked(way: Way) -> None:
    """G6: revoked is revoked, for both ways to ask."""
    client, thief = way.client(), way.client()
    client.register()
    thief.cookie = client.cookie
    assert thief.get(VERIFY).status == 200
    client.delete(CURRENT)
    assert thief.get(VERIFY).status == thief.get(CURRENT).status == 401


def test_it_skips_other_cookies(way: Way) -> None:
    client, stranger = way.client(), way.client()
    client.register()
    cookie = client.cookie
    for header in (f"a=b; session={cookie}", f"xsession=1;session={cookie}; session=2"):
        assert stranger.get(VERIFY, headers={"Cookie": header}).status == 200
    for header in (f"sessions={cookie}", f"session=1; session={cookie}", f"Session={cookie}"):
        assert stranger.get(VERIFY, headers={"Cookie": header}).status == 401


def test_an_outage_is_503_and_leaves_the_cookie_alone(way: Way, redis_engine: RedisEngine) -> None:
    """G10: an outage is not a logout, for both ways to ask."""
    client = way.client()
    client.register()
    assert client.get(VERIFY).status == 200
    with frozen(redis_engine):
        for path in (VERIFY, CURRENT):
            answer = client.get(path)
            assert answer.status == 503
            assert answer.headers["Retry-After"] == "1"
            assert answer.headers["Cache-Control"] == "no-store"
            assert "Set-Cookie" not in answer.headers
            assert bool(answer.body) == (path == CURRENT)
        assert client.get(ALIVE).status == 200
    assert eventually(lambda: client.get(VERIFY).status == 200)


def test_asking_keeps_the_session_alive(way: Way, redis: Redis) -> None:
    """G9: use moves the idle limit."""
    client = way.client()
    client.register()
    (key,) = redis.keys("*:session:*")
    for path in (VERIFY, CURRENT):
        long_ago = int(redis.hget(key, "seen")) - 120_000
        redis.hset(key, "seen", long_ago)
        assert client.get(path).status == 200
        assert int(redis.hget(key, "seen")) > long_ago


def test_every_answer_is_counted(way: Way) -> None:
    def count(outcome: str) -> float:
        return way.count("coatcheck_session_reads_total", outcome=outcome)

    client = way.client()
    client.register()
    found, absent = count("found"), count("absent")
    client.get(VERIFY)
    client.cookie = "A" * 55
    client.get(VERIFY)
    client.get(CURRENT)
    assert (count("found"), count("absent")) == (found + 1, absent + 2)


@pytest.mark.parametrize("path", [VERIFY, CURRENT, ALIVE])
def test_head_says_what_get_says_without_the_body(way: Way, path: str) -> None:
    client = way.client()
    for _ in range(2):
        get, head = client.get(path), client.head(path)
        assert head.meaning == get._replace(body=b"").meaning
        assert head.headers.get("content-length") == get.headers.get("content-length")
        client.register()


@pytest.mark.parametrize("path", [VERIFY, CURRENT, ALIVE])
def test_what_clients_ask_carries_the_headers_of_every_other_answer(way: Way, path: str) -> None:
    answer = way.client().get(path)
    for name, value in security_headers.HEADERS:
        assert answer.headers.get_list(name) == [value]


def test_a_client_of_the_api_learns_in_json_that_it_is_not_signed_in(way: Way) -> None:
    answer = way.client().get(CURRENT)
    assert (answer.status, answer.json["code"]) == (401, "not_signed_in")
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_full_redis_still_tells_who_is_signed_in_and_lets_them_out(
    way: Way, redis: Redis
) -> None:
    """G6: a full Redis still ends sessions. Reading may have to note that the session is used,
    and there is no room to."""
    client = way.client()
    client.register()
    (key,) = redis.keys("*:session:*")
    redis.hset(key, "seen", int(redis.hget(key, "seen")) - 120_000)
    redis.config_set("maxmemory", 1)
    try:
        assert client.get(VERIFY).status == 200
        assert client.get(CURRENT).status == 200
        cookie = client.cookie
        assert client.delete(CURRENT).status == 204
        client.cookie = cookie
        assert client.get(VERIFY).status == 401
    finally:
        redis.config_set("maxmemory", 0)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", [VERIFY, CURRENT, ALIVE])
def test_both_ways_give_the_same_response_to_members_and_strangers(
    both_ways: BothWays, method: str, path: str
) -> None:
    member, anonymous, gone = (Client(both_ways.flask) for _ in range(3))
    member.register(fresh_name("Zoë"))
    anonymous.patch(DATA, json={"colour": "red"})
    gone.register()
    cookies = [None, member.cookie, anonymous.cookie, gone.cookie, "A" * 55, "short", "ü"]
    gone.delete(CURRENT)
    for cookie in cookies:
        headers = {} if cookie is None else {"Cookie": f"session={cookie}"}
        both_ways.ask(method, path, headers=headers)
        both_ways.ask(method, f"{path}?and=more", headers=headers)
        both_ways.ask(method, path, headers=headers | {"Accept": "text/html"})


@pytest.mark.parametrize("path", [VERIFY, CURRENT])
def test_both_ways_give_the_same_response_in_an_outage(
    both_ways: BothWays, redis_engine: RedisEngine, path: str
) -> None:
    client = Client(both_ways.flask)
    client.register()
    with frozen(redis_engine):
        headers = {"Cookie": f"session={client.cookie}"}
        assert both_ways.ask("GET", path, headers=headers).status == 503
        assert both_ways.ask("HEAD", path, headers=headers).status == 503


@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", [VERIFY, CURRENT, ALIVE])
def test_both_ways_give_the_same_response_to_other_methods(
    both_ways: BothWays, method: str, path: str
) -> None:
    assert both_ways.ask(method, path).status in (200, 405)
