"""Registrations of taken names, which the front rejects by itself."""

from __future__ import annotations

import asyncio
import gc
import threading

import psycopg
import pytest
from redis import Redis

from service.accounts import usernames
from service.accounts.repository import AccountRepository
from service.front import lanes
from service.front.lanes import Lane
from service.front.registrations import TAKEN
from service.registration import username_cache
from service.registration.username_cache import Taken, UsernameCache, key_of
from service.web.answers import Answer
from tests.entries import DELETED
from tests.front.in_front_of_flask import JSON, Flask, Open, asked, body, take
from tests.loops import on_loop, turns


@on_loop
async def test_a_hot_duplicate_reaches_neither_flask_nor_postgres(
    opened: Open, accounts: AccountRepository, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G4: a hot duplicate costs no statement and no hash."""
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
async def test_a_retired_name_is_rejected_but_not_cached_shortly_before_its_release(
    opened: Open,
    accounts: AccountRepository,
    cache: UsernameCache,
    database: psycopg.Connection,
    redis: Redis,
) -> None:
    take(accounts, "bob")
    accounts.retire_by_name(usernames.parse("bob"), DELETED)
    database.execute("UPDATE accounts SET retired_at = retired_at - interval '23 hours'")
    async with opened() as front:
        assert await front.answer(JSON, body("bob"), Flask()) is TAKEN
        assert not cache.remembers(usernames.parse("bob"))
        assert redis.get("coatcheck:username:bob") is None


@on_loop
async def test_a_claim_in_the_cache_is_not_called_taken(opened: Open, redis: Redis) -> None:
    """G2: the claim may still fail."""
    redis.set("coatcheck:username:bob", "pending:token")
    async with opened() as front:
        assert await front.answer(JSON, body("bob"), Flask()) == "from Flask"


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
async def test_a_rejection_that_is_never_carried_out_leaves_nothing_behind(
    opened: Open, cache: UsernameCache
) -> None:
    """The client may go while its request is charged."""
    cache.publish(usernames.parse("bob"), Taken(""))
    async with opened() as front:
        assert front.rejection(JSON, body("bob"))
    gc.collect()  # which would warn of a coroutine that never ran


@pytest.mark.parametrize("when", ["at once", "after its body has arrived"])
@on_loop
async def test_a_lane_that_is_overrun_rejects_all_names_that_the_cache_does_not_know(
    when: str, opened: Open, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G12: a request that is shed costs a read of the cache at most, and Flask nothing."""
    monkeypatch.setattr(lanes, "MOST_WAITING", 2)
    UsernameCache(redis).publish(usernames.parse("bob"), Taken("some digest"))  # another worker's
    hold = threading.Event()
    passwords, flask = Lane("passwords", 1, 0.5, holds_back=True), Flask()
    async with opened(passwords) as front:

        async def answer(name: str) -> Answer:
            if when == "at once":
                reject = front.rejection(JSON, body(name))
                assert reject
                return await reject()
            return await front.answer(JSON, body(name), flask)

        jobs = [asyncio.ensure_future(passwords.run(lambda: hold.wait(20))) for _ in range(3)]
        await turns()
        redis.config_resetstat()
        assert [await answer("bob") for _ in range(5)] == [TAKEN] * 5
        assert asked(redis, "get") == 1
        assert (await answer("ada")).status == 503
        hold.set()
        await asyncio.gather(*jobs, return_exceptions=True)
    assert flask.reached == 0
