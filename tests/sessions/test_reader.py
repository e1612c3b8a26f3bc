"""Sessions read on the event loop: what the store reads in a thread, by the same rules."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import REGISTRY
from redis import Redis

from service.embedded import RedisEngine
from service.errors import SessionStoreUnavailable
from service.sessions import keys
from service.sessions.ids import SessionId, new_locator
from service.sessions.reader import SessionReader
from service.sessions.record import NewSession, Owner, Record
from service.sessions.rules import Limits, SessionRules
from service.sessions.store import SessionStore
from service.storage import lines
from service.storage.lines import Lines
from tests.faults import frozen
from tests.loops import on_loop, turns
from tests.redis_engines import Group, Masters

MINUTE = 60_000  # milliseconds
RULES = SessionRules(Limits(idle=1800, lifetime=43200), Limits(idle=86400, lifetime=864000))


@asynccontextmanager
async def reading(lines: Lines) -> AsyncIterator[SessionReader]:
    reader = SessionReader(lines, RULES)
    try:
        yield reader
    finally:  # otherwise the open lines keep the loop from ending
        await reader.close()


class Place:
    """A Redis, with a store in front of it."""

    def __init__(self, url: str, client: Redis | Masters) -> None:
        self.url, self.client = url, client
        self.store = SessionStore(client, RULES, 50)

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[SessionReader]:
        async with reading(lines.connect(self.url)) as reader:
            yield reader

    def sign_in(self, **fields: bytes) -> Record:
        new = NewSession(owner=Owner(1, "bob", 0.0), locator=new_locator(), epoch=0)
        return self.store.create(new, fields)

    def pass_two_minutes(self, record: Record) -> None:
        """Have the session seen so long ago."""
        key = keys.session_key(record.id.locator, record.id.digest)
        self.client.hincrby(key, "seen", -2 * MINUTE)

    def calls(self) -> dict[str, int]:
        """How often each command was called that a reader may send."""
        stats = self.client.info("commandstats")
        names = ("hgetall", "eval", "evalsha")
        return {n: stats[f"cmdstat_{n}"]["calls"] for n in names if f"cmdstat_{n}" in stats}


@pytest.fixture(params=["redis", "redis_cluster"])
def place(request: pytest.FixtureRequest) -> Place:
    """On one server and on a Cluster."""
    client = request.getfixturevalue(request.param)
    engine: RedisEngine | Group = request.getfixturevalue(
        "redis_engine" if request.param == "redis" else "cluster_engine"
    )
    return Place(engine.url, client)


@on_loop
async def test_it_reads_what_the_store_wrote(place: Place) -> None:
    record = place.sign_in(name=b"value")
    async with place.reader() as reader:
        assert await reader.read(record.id) == record == place.store.read(record.id)


@on_loop
async def test_an_unknown_id_and_half_a_session_read_as_nothing(place: Place) -> None:
    half = SessionId.new(new_locator())
    place.client.hset(keys.session_key(half.locator, half.digest), "created", 1)
    async with place.reader() as reader:
        assert await reader.read(half) is None
        assert await reader.read(SessionId.new(new_locator())) is None


@on_loop
async def test_a_session_that_was_revoked_is_gone(place: Place) -> None:
    """G6: the loop knows of a revocation as soon as the store does."""
    record = place.sign_in()
    async with place.reader() as reader:
        assert await reader.read(record.id)
        place.store.revoke(record.id.locator, record.id.digest)
        assert await reader.read(record.id) is None


@on_loop
async def test_a_read_is_one_command_and_one_touch_a_minute(place: Place) -> None:
    """G11: reads do not write, on the loop either."""
    record = place.sign_in()
    async with place.reader() as reader:
        place.pass_two_minutes(record)
        await reader.read(record.id)  # which also loads the script
        place.pass_two_minutes(record)
        place.client.config_resetstat()
        for _ in range(100):
            assert await reader.read(record.id)
        assert place.calls() == {"hgetall": 100, "evalsha": 1}


@on_loop
async def test_a_touch_moves_the_end_in_the_session_and_in_the_list(place: Place) -> None:
    """G9: the list of devices ends with its sessions."""
    record = place.sign_in()
    place.pass_two_minutes(record)
    async with place.reader() as reader:
        touched = await reader.read(record.id)
    assert touched is not None
    assert touched.seen >= record.seen
    assert touched == place.store.read(record.id)
    listed = place.client.zscore(keys.index_key(record.id.locator), record.id.digest)
    assert listed == touched.expires


@on_loop
async def test_a_redis_that_has_forgotten_the_script_gets_it_again(place: Place) -> None:
    """As it has after a restart, or after a failover."""
    record = place.sign_in()
    async with place.reader() as reader:
        for _ in range(2):
            place.client.script_flush()
            place.pass_two_minutes(record)
            place.client.config_resetstat()
            touched = await reader.read(record.id)
            assert touched is not None
            assert touched.seen >= record.seen
            assert place.calls() == {"hgetall": 1, "evalsha": 1, "eval": 1}
        place.pass_two_minutes(record)
        place.client.config_resetstat()
        assert await reader.read(record.id)
        assert place.calls() == {"hgetall": 1, "evalsha": 1}


class LinesOvertaken(Lines):
    """Lines on which the session ends just before its use is noted."""

    def __init__(self, lines: Lines, end: Callable[[], object]) -> None:
        self._lines, self._end = lines, end

    async def call(self, key: str, *words: bytes) -> Any:
        if words[0] == b"EVALSHA":
            self._end()
        return await self._lines.call(key, *words)

    async def close(self) -> None:
        await self._lines.close()


@on_loop
async def test_a_session_that_ends_between_read_and_touch_is_gone(place: Place) -> None:
    """G6: noting the use of a session does not bring it back."""
    record = place.sign_in()
    place.pass_two_minutes(record)
    overtaken = LinesOvertaken(
        lines.connect(place.url),
        lambda: place.store.revoke(record.id.locator, record.id.digest),
    )
    async with reading(overtaken) as reader:
        assert await reader.read(record.id) is None
    assert place.store.read(record.id) is None


@on_loop
async def test_a_redis_that_is_full_still_tells_who_is_signed_in(
    redis: Redis, redis_engine: RedisEngine
) -> None:
    place = Place(redis_engine.url, redis)
    record = place.sign_in()
    place.pass_two_minutes(record)
    async with place.reader() as reader:
        redis.config_set("maxmemory", 1)
        try:
            found = await reader.read(record.id)
        finally:
            redis.config_set("maxmemory", 0)
    assert found is not None
    assert found.metadata.owner == record.metadata.owner


@on_loop
async def test_a_redis_that_hangs_is_an_error_within_a_second_and_the_session_lives_on(
    redis: Redis, redis_engine: RedisEngine
) -> None:
    """G10: the time of an outage is bounded for fifty readers as for one."""
    place = Place(redis_engine.url, redis)
    record = place.sign_in()
    loop = asyncio.get_running_loop()
    async with place.reader() as reader:
        await reader.read(record.id)
        started = loop.time()
        with frozen(redis_engine):
            outcomes = await asyncio.gather(
                *(reader.read(record.id) for _ in range(50)), return_exceptions=True
            )
        assert loop.time() - started < 1.1
        assert [type(outcome) for outcome in outcomes] == [SessionStoreUnavailable] * 50
        assert await reader.read(record.id) == record


@on_loop
async def test_reads_in_flight_get_each_their_own_session(place: Place) -> None:
    records = [place.sign_in(number=str(number).encode()) for number in range(100)]
    async with place.reader() as reader:
        assert await asyncio.gather(*(reader.read(each.id) for each in records)) == records


@on_loop
async def test_every_read_is_counted(place: Place) -> None:
    def count(outcome: str) -> float:
        labels = {"outcome": outcome}
        return REGISTRY.get_sample_value("coatcheck_session_reads_total", labels) or 0

    record = place.sign_in()
    before = {outcome: count(outcome) for outcome in ("found", "absent", "unavailable")}
    async with place.reader() as reader:
        await asyncio.gather(*(reader.read(record.id) for _ in range(3)))
        await reader.read(SessionId.new(new_locator()))
    nowhere = SessionReader(lines.connect("unix:///nowhere/redis.sock"), RULES)
    with pytest.raises(SessionStoreUnavailable):
        await nowhere.read(record.id)
    await turns()
    now = {outcome: count(outcome) - before[outcome] for outcome in before}
    assert now == {"found": 3, "absent": 1, "unavailable": 1}
