"""Registrations that are rejected in front of Flask, and everything that reaches it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import psycopg
import pytest
from redis import Redis

from service.accounts import usernames
from service.accounts.repository import AccountRepository
from service.embedded import RedisEngine
from service.front import lookups, registrations
from service.front.lanes import Lane
from service.front.registrations import PATH, TAKEN, Registrations
from service.registration import username_cache
from service.registration.username_cache import Taken, UsernameCache, key_of
from service.storage import lines
from service.web.answers import Answer
from tests.loops import eventually, on_loop, turns
from tests.ways import PASSWORD, BothWays, Client, Way, fresh_name

TO_FLASK = {"Sec-Fetch-Site": "same-origin"}  # as a browser's own requests say
JSON = [(b"content-type", b"application/json")]

Open = Callable[[], AbstractAsyncContextManager[Registrations]]


# Through Flask alone and through the front.


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


def test_g3_a_repeated_key_returns_its_account(way: Way) -> None:
    body = {"username": fresh_name(), "password": PASSWORD}
    first, second = (
        way.client().post(PATH, json=body, headers={"Idempotency-Key": "mine"}) for _ in range(2)
    )
    assert first.status == second.status == 201
    assert first.json["account"] == second.json["account"]


def test_g5_a_name_that_the_cache_has_forgotten_is_decided_by_the_index(
    way: Way, redis: Redis
) -> None:
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


# The front alone, with something in Flask's place that counts.


class Flask:
    """In Flask's place: counts what goes on to it."""

    def __init__(self, wait: Callable[[], Awaitable[object]] | None = None) -> None:
        self.reached = 0
        self._wait = wait

    async def __call__(self) -> str:
        self.reached += 1
        if self._wait:
            await self._wait()
        return "from Flask"


@pytest.fixture
def cache(redis: Redis) -> UsernameCache:
    return UsernameCache(redis)


@pytest.fixture
def opened(cache: UsernameCache, redis_engine: RedisEngine, accounts: AccountRepository) -> Open:
    """Opens registrations on the running loop."""

    @asynccontextmanager
    async def open_() -> AsyncIterator[Registrations]:
        lookups = Lane("lookups", 1, 0.5, holds_back=False)
        passwords = Lane("passwords", 1, 0.2, holds_back=True)
        redis = lines.connect(redis_engine.url)
        found = Registrations(cache, redis, accounts, lookups, passwords)
        try:
            yield found
        finally:
            await found.close()
            lookups.close()
            passwords.close()

    return open_


def body(name: str) -> bytes:
    return json.dumps({"username": name, "password": PASSWORD}).encode()


def take(accounts: AccountRepository, name: str) -> None:
    assert accounts.insert(usernames.parse(name), "hash", "locator-----", "")


def asked(redis: Redis, command: str) -> int:
    calls: int = redis.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0)
    return calls


@on_loop
async def test_g4_a_hot_duplicate_never_reaches_flask_nor_postgres(
    opened: Open, accounts: AccountRepository, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[object] = []
    look = accounts.registered_among
    monkeypatch.setattr(accounts, "registered_among", lambda n: looked.append(n) or look(n))
    take(accounts, "bob")
    flask = Flask()
    async with opened() as front:
        for spelling in ("bob", "Bob", "BOB") * 10:
            assert await front.answer(JSON, body(spelling), flask) is TAKEN
    assert flask.reached == 0
    assert len(looked) == 1
    assert redis.get("coatcheck:username:bob") == b"taken:"
    assert 0 < redis.ttl("coatcheck:username:bob") <= username_cache.LONGEST_LIFETIME


@on_loop
async def test_a_hot_duplicate_asks_redis_once_in_a_while(
    opened: Open, cache: UsernameCache, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is taken stays so."""
    redis.set("coatcheck:username:bob", "taken:")
    flask = Flask()
    async with opened() as front:
        for remembered, looks in ((60.0, 1), (0.0, 20)):
            monkeypatch.setattr(username_cache, "REMEMBERED", remembered)
            redis.config_resetstat()
            for _ in range(20):
                assert await front.answer(JSON, body("bob"), flask) is TAKEN
            assert asked(redis, "get") == looks


@on_loop
async def test_g4_a_storm_for_one_free_name_sends_one_request_at_a_time_to_flask(
    opened: Open, accounts: AccountRepository
) -> None:
    may_end = asyncio.Event()
    flask = Flask(may_end.wait)
    async with opened() as front:
        storm = [asyncio.ensure_future(front.answer(JSON, body("bob"), flask)) for _ in range(100)]
        await eventually(lambda: flask.reached)
        await turns()
        assert flask.reached == 1
        take(accounts, "bob")  # as the first one does
        may_end.set()
        first, *others = await asyncio.gather(*storm)
    assert first == "from Flask"
    assert others == [TAKEN] * 99
    assert flask.reached == 1


@on_loop
async def test_g2_those_who_waited_for_one_that_failed_are_not_told_that_the_name_is_taken(
    opened: Open,
) -> None:
    async def fail() -> None:
        await turns()
        raise OSError("the leader fails")

    flask = Flask(fail)
    async with opened() as front:
        storm = [front.answer(JSON, body("bob"), flask) for _ in range(5)]
        outcomes = await asyncio.gather(*storm, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [OSError] * 5
    assert flask.reached == 5
    assert front._under_way == {}


@on_loop
async def test_a_leader_whose_client_leaves_holds_up_nobody(opened: Open) -> None:
    stuck = asyncio.Event()
    async with opened() as front:
        leading = Flask(stuck.wait)
        leader = asyncio.ensure_future(front.answer(JSON, body("bob"), leading))
        await eventually(lambda: leading.reached)
        follower = asyncio.ensure_future(front.answer(JSON, body("bob"), Flask()))
        await turns()
        leader.cancel()
        assert await follower == "from Flask"
    assert front._under_way == {}


@on_loop
async def test_a_request_waits_so_long_for_another_and_no_longer(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registrations, "PATIENCE", 0.1)
    stuck = asyncio.Event()
    async with opened() as front:
        leading = Flask(stuck.wait)
        leader = asyncio.ensure_future(front.answer(JSON, body("bob"), leading))
        await eventually(lambda: leading.reached)
        answer = await front.answer(JSON, body("bob"), Flask())
        stuck.set()
        await leader
    assert answer.status == 503
    assert ("Retry-After", "1") in answer.headers


@on_loop
async def test_requests_for_different_names_do_not_wait_for_each_other(opened: Open) -> None:
    may_end = asyncio.Event()
    flask = Flask(may_end.wait)
    async with opened() as front:
        storm = [
            asyncio.ensure_future(front.answer(JSON, body(f"name-{n}"), flask)) for n in range(50)
        ]
        await eventually(lambda: flask.reached == 50)
        may_end.set()
        assert await asyncio.gather(*storm) == ["from Flask"] * 50


@on_loop
async def test_names_that_are_asked_for_together_are_looked_up_together(
    opened: Open, accounts: AccountRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    look = accounts.registered_among
    monkeypatch.setattr(
        accounts, "registered_among", lambda names: looked.append(len(names)) or look(names)
    )
    for n in range(0, 60, 2):
        take(accounts, f"name-{n}")
    async with opened() as front:
        answers = await asyncio.gather(
            *(front.answer(JSON, body(f"name-{n}"), Flask()) for n in range(60))
        )
    assert answers == [TAKEN, "from Flask"] * 30
    assert sum(looked) == 60
    assert len(looked) <= 5


@on_loop
async def test_g5_without_redis_the_index_decides(
    cache: UsernameCache, accounts: AccountRepository
) -> None:
    take(accounts, "bob")
    lookups = Lane("lookups", 1, 0.5, holds_back=False)
    nowhere = lines.connect("unix:///nowhere/redis.sock")
    passwords = Lane("passwords", 1, 0.5, holds_back=True)
    front = Registrations(cache, nowhere, accounts, lookups, passwords)
    assert await front.answer(JSON, body("bob"), Flask()) is TAKEN
    assert await front.answer(JSON, body("ada"), Flask()) == "from Flask"
    await front.close()
    lookups.close()
    passwords.close()


@on_loop
async def test_g5_a_redis_that_hangs_delays_the_index_by_less_than_a_second(
    opened: Open, accounts: AccountRepository, redis_engine: RedisEngine
) -> None:
    take(accounts, "bob")
    loop = asyncio.get_running_loop()
    async with opened() as front:
        assert await front.answer(JSON, body("ada"), Flask()) == "from Flask"
        os.kill(redis_engine.pid, signal.SIGSTOP)
        started = loop.time()
        try:
            assert await front.answer(JSON, body("bob"), Flask()) is TAKEN
            took = loop.time() - started
        finally:
            os.kill(redis_engine.pid, signal.SIGCONT)
    assert took < 2.0  # to look and to publish


@on_loop
async def test_an_index_that_does_not_answer_leaves_it_to_flask(
    opened: Open, accounts: AccountRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a request with an error has its proper response."""
    monkeypatch.setattr(lookups, "LIMIT", 0.1)
    released = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(_: object) -> dict[str, Any]:
        asyncio.run_coroutine_threadsafe(released.wait(), loop).result(20)
        return {}

    monkeypatch.setattr(accounts, "registered_among", hang)
    async with opened() as front:
        for name in ("bob", "ada"):
            assert await front.answer(JSON, body(name), Flask()) == "from Flask"
        released.set()


@on_loop
async def test_a_retired_name_is_rejected_but_not_cached_shortly_before_its_release(
    opened: Open,
    accounts: AccountRepository,
    cache: UsernameCache,
    database: psycopg.Connection,
    redis: Redis,
) -> None:
    take(accounts, "bob")
    accounts.retire(usernames.parse("bob"))
    database.execute("UPDATE accounts SET retired_at = retired_at - interval '23 hours'")
    async with opened() as front:
        assert await front.answer(JSON, body("bob"), Flask()) is TAKEN
        assert not cache.remembers(usernames.parse("bob"))
        assert redis.get("coatcheck:username:bob") is None


@pytest.mark.parametrize(
    "particular", [b"idempotency-key", b"origin", b"sec-fetch-site"], ids=bytes.decode
)
@on_loop
async def test_a_request_that_flask_has_more_to_say_about_goes_on_to_it(
    opened: Open, redis: Redis, particular: bytes
) -> None:
    redis.set("coatcheck:username:bob", "taken:")
    async with opened() as front:
        headers = [*JSON, (particular, b"anything")]
        assert await front.answer(headers, body("bob"), Flask()) == "from Flask"


@on_loop
async def test_a_claim_in_the_cache_is_not_called_taken(opened: Open, redis: Redis) -> None:
    redis.set("coatcheck:username:bob", "pending:token")
    async with opened() as front:
        assert await front.answer(JSON, body("bob"), Flask()) == "from Flask"


@pytest.mark.parametrize(
    "sent",
    [
        {"username": "bob" + "\u0301" * 40, "password": PASSWORD},
        {"username": "bob", "password": "ü" * 200},
        {"username": "b" * 15_000, "password": PASSWORD},
    ],
    ids=["username", "password", "long"],
)
@on_loop
async def test_what_takes_long_to_check_is_not_checked_on_the_loop(
    opened: Open, sent: dict[str, str]
) -> None:
    loop = asyncio.get_running_loop()
    async with opened() as front:
        started = loop.time()
        for _ in range(20):
            front_answer = await front.answer(JSON, json.dumps(sent).encode(), Flask())
            assert front_answer == "from Flask"
        assert loop.time() - started < 0.05


def test_a_worker_remembers_so_many_names(
    cache: UsernameCache, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(username_cache, "MOST_REMEMBERED", 2)
    monkeypatch.setattr(username_cache, "REMEMBERED", 60.0)
    for name in ("ada", "bob", "cy", "bob", "dan"):
        redis.set(f"coatcheck:username:{name}", "taken:")
        cache.state(usernames.parse(name))
    known = {n for n in ("ada", "bob", "cy", "dan") if cache.remembers(usernames.parse(n))}
    assert known == {"bob", "dan"}


@on_loop
async def test_a_name_that_was_given_back_is_rejected_no_longer_than_it_is_remembered(
    opened: Open, cache: UsernameCache, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = usernames.parse("bob")
    cache.publish(bob, Taken(""))
    async with opened() as front:
        assert await front.answer(JSON, body("bob"), Flask()) is TAKEN
        monkeypatch.setattr(username_cache, "REMEMBERED", 0.0)
        redis.delete(key_of(bob))
        assert await front.answer(JSON, body("bob"), Flask()) == "from Flask"


@on_loop
async def test_g12_while_passwords_wait_for_their_turn_new_names_cost_no_query(
    opened: Open, accounts: AccountRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most of them will be rejected, and who gets a turn is looked up then."""
    looked: list[object] = []
    look = accounts.registered_among
    monkeypatch.setattr(accounts, "registered_among", lambda n: looked.append(n) or look(n))
    hold = threading.Event()
    async with opened() as front:
        busy = asyncio.ensure_future(front._passwords.run(lambda: hold.wait(20)))
        try:
            assert await front.answer(JSON, body("ada"), Flask()) == "from Flask"
            assert looked == []
        finally:
            hold.set()
            await busy
        assert await front.answer(JSON, body("eve"), Flask()) == "from Flask"
        assert len(looked) == 1


@on_loop
@pytest.mark.parametrize("way", ["at once", "after its body has arrived"])
async def test_g12_a_lane_that_is_overrun_rejects_all_names_that_the_cache_does_not_know(
    way: str, opened: Open, cache: UsernameCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lane, "is_overrun", True)
    cache.publish(usernames.parse("bob"), Taken("some digest"))
    async with opened() as front:
        flask = Flask()

        async def answer(name: str) -> Answer:
            if way == "at once":
                rejection = front.rejection(JSON, body(name))
                assert rejection
                return await rejection
            return await front.answer(JSON, body(name), flask)

        assert (await answer("ada")).status == 503
        monkeypatch.setattr(cache, "remembers", lambda _: False)  # a worker that was not asked yet
        assert await answer("bob") is TAKEN
        assert flask.reached == 0
