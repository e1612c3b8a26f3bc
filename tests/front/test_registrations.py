"""Registrations that are rejected in front of Flask, and everything that reaches it."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from redis import Redis

from service.accounts.repository import AccountRepository
from service.embedded import RedisEngine
from service.front import lookups, registrations
from service.front.lanes import Lane
from service.front.registrations import TAKEN, Registrations
from service.registration.username_cache import UsernameCache
from service.storage import lines
from tests.faults import frozen
from tests.front.in_front_of_flask import JSON, Flask, Open, body, take
from tests.loops import eventually, on_loop, turns
from tests.passwords import PASSWORD, POLICY


@on_loop
async def test_a_storm_for_one_free_name_sends_one_request_at_a_time_to_flask(
    opened: Open, accounts: AccountRepository
) -> None:
    """G4: one hash and one INSERT for one name."""
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
async def test_requests_that_waited_for_one_that_failed_do_not_hear_that_the_name_is_taken(
    opened: Open,
) -> None:
    """G2: 409 is the truth."""

    async def fail() -> None:
        await turns()
        raise OSError("the leader fails")

    flask = Flask(fail)
    async with opened() as front:
        storm = [front.answer(JSON, body("bob"), flask) for _ in range(5)]
        outcomes = await asyncio.gather(*storm, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [OSError] * 5
        assert flask.reached == 5
        assert await front.answer(JSON, body("bob"), Flask()) == "from Flask"


@on_loop
async def test_a_leader_whose_client_leaves_holds_up_no_other_request(opened: Open) -> None:
    stuck = asyncio.Event()
    async with opened() as front:
        leading = Flask(stuck.wait)
        leader = asyncio.ensure_future(front.answer(JSON, body("bob"), leading))
        await eventually(lambda: leading.reached)
        follower = asyncio.ensure_future(front.answer(JSON, body("bob"), Flask()))
        await turns()
        leader.cancel()
        assert await follower == "from Flask"
        assert await front.answer(JSON, body("bob"), Flask()) == "from Flask"


@on_loop
async def test_a_request_waits_for_another_for_a_limited_time(
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
async def test_without_redis_the_index_decides(
    cache: UsernameCache, accounts: AccountRepository
) -> None:
    """G5: Redis is never the authority on names."""
    take(accounts, "bob")
    lookups = Lane("lookups", 1, 0.5, holds_back=False)
    nowhere = lines.connect("unix:///nowhere/redis.sock")
    passwords = Lane("passwords", 1, 0.5, holds_back=True)
    front = Registrations(cache, nowhere, accounts, lookups, passwords, POLICY)
    assert await front.answer(JSON, body("bob"), Flask()) is TAKEN
    assert await front.answer(JSON, body("ada"), Flask()) == "from Flask"
    await front.close()
    lookups.close()
    passwords.close()


@on_loop
async def test_a_redis_that_hangs_delays_the_index_by_less_than_a_second(
    opened: Open, accounts: AccountRepository, redis_engine: RedisEngine
) -> None:
    """G5: a slow Redis changes no answer."""
    take(accounts, "bob")
    loop = asyncio.get_running_loop()
    async with opened() as front:
        assert await front.answer(JSON, body("ada"), Flask()) == "from Flask"
        started = loop.time()
        with frozen(redis_engine):
            assert await front.answer(JSON, body("bob"), Flask()) is TAKEN
            took = loop.time() - started
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


@on_loop
async def test_while_passwords_wait_for_their_turn_new_names_cost_no_query(
    opened: Open, accounts: AccountRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G12: a request that may be shed costs no query. Most of them will be rejected, and who
    gets a turn is looked up then."""
    looked: list[object] = []
    look = accounts.registered_among
    monkeypatch.setattr(accounts, "registered_among", lambda n: looked.append(n) or look(n))
    hold = threading.Event()
    passwords = Lane("passwords", 1, 0.2, holds_back=True)
    async with opened(passwords) as front:
        busy = asyncio.ensure_future(passwords.run(lambda: hold.wait(20)))
        try:
            assert await front.answer(JSON, body("ada"), Flask()) == "from Flask"
            assert looked == []
        finally:
            hold.set()
            await busy
        assert await front.answer(JSON, body("eve"), Flask()) == "from Flask"
        assert len(looked) == 1
