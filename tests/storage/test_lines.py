"""Redis from the event loop: one server, Sentinel's master, the nodes of a Cluster."""

from __future__ import annotations

import asyncio

import pytest
from redis import Redis
from redis.exceptions import (
    ResponseError,
)

from service.embedded import RedisEngine
from service.storage import line
from service.storage.lines import connect
from tests.faults import frozen
from tests.loops import elapse, on_loop
from tests.storage.lines import KEY, One, Several, answers, get, lines_to, until_it_answers


@on_loop
async def test_reads_that_are_in_flight_together_travel_as_one_pipeline(
    place: One | Several,
) -> None:
    """G11: two hundred reads cost less than ten round trips."""
    async with lines_to(place.url) as lines:
        await get(lines)
        client = place.client()
        client.config_resetstat()
        before = client.info("stats")["total_reads_processed"]
        replies = await asyncio.gather(*(get(lines) for _ in range(200)))
        packets = client.info("stats")["total_reads_processed"] - before
        calls = client.info("commandstats")["cmdstat_get"]["calls"]
    assert replies == [b"value"] * 200
    assert calls == 200
    assert packets < 10  # the pipeline, what replicas say, and this test's own questions


@on_loop
async def test_a_batch_has_so_many_commands_and_no_more(
    redis: Redis, redis_engine: RedisEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "LARGEST", 10)
    async with lines_to(redis_engine.url) as lines:
        numbers = [lines.call(KEY, b"ECHO", str(number).encode()) for number in range(105)]
        assert await asyncio.gather(*numbers) == [str(n).encode() for n in range(105)]


@on_loop
async def test_one_connection_carries_everything(redis: Redis, redis_engine: RedisEngine) -> None:
    async with lines_to(redis_engine.url) as lines:
        before = len(redis.client_list())
        for _ in range(5):
            await asyncio.gather(*(get(lines) for _ in range(50)))
        assert len(redis.client_list()) == before + 1


@on_loop
async def test_a_redis_that_hangs_is_an_error_within_a_second_and_no_late_answer_is_taken(
    place: One | Several,
) -> None:
    async with lines_to(place.url) as warm, lines_to(place.url) as cold:
        await get(warm)
        with frozen(*place.processes):
            for lines in (warm, warm, cold):
                assert not await answers(lines)
            several = await asyncio.gather(*(answers(warm) for _ in range(20)))
            assert several == [False] * 20
        await until_it_answers(warm)
        for number in range(20):
            echo = await warm.call(KEY, b"SETRANGE", KEY.encode(), b"0", b"x" * number)
            assert echo == max(5, number)
        await until_it_answers(cold)


@on_loop
async def test_a_hang_that_ends_in_time_is_no_error(place: One | Several) -> None:
    async with lines_to(place.url) as lines:
        await get(lines)
        with frozen(*place.processes):
            asked = asyncio.ensure_future(get(lines))
            await elapse(0.1)
            assert not asked.done()
        assert await asked == b"value"


@on_loop
async def test_a_connection_that_was_killed_is_replaced_without_an_error(
    place: One | Several,
) -> None:
    async with lines_to(place.url) as lines:
        for _ in range(5):
            await get(lines)
            place.client().client_kill_filter(_type="normal", skipme=True)
            replies = await asyncio.gather(*(get(lines) for _ in range(10)))
            assert replies == [b"value"] * 10


@on_loop
async def test_an_error_that_redis_reports_is_raised_where_it_belongs(
    place: One | Several,
) -> None:
    place.client().lpush("{key}list", "item")
    async with lines_to(place.url) as lines:
        outcomes = await asyncio.gather(
            get(lines),
            lines.call(KEY, b"GET", b"{key}list"),
            get(lines),
            lines.call(KEY, b"NO-SUCH-COMMAND"),
            lines.call(KEY, b"GET"),
            get(lines),
            return_exceptions=True,
        )
    assert outcomes[0] == outcomes[2] == outcomes[5] == b"value"
    assert [type(outcomes[n]) for n in (1, 3, 4)] == [ResponseError] * 3
    assert str(outcomes[1]).startswith("WRONGTYPE")


@on_loop
async def test_a_request_that_gives_up_does_not_take_the_answer_of_another(
    place: One | Several,
) -> None:
    async with lines_to(place.url) as lines:
        await get(lines)
        leaves = asyncio.ensure_future(lines.call(KEY, b"STRLEN", KEY.encode()))
        stays = asyncio.ensure_future(get(lines))
        await asyncio.sleep(0)
        leaves.cancel()
        assert await stays == b"value"
        assert await get(lines) == b"value"


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:1",
        "unix:///nowhere/redis.sock",
        "redis+sentinel://127.0.0.1:1,127.0.0.1:2/coatcheck",
        "redis+cluster://127.0.0.1:1,127.0.0.1:2",
        "redis://" + "x" * 64 + ".invalid",
    ],
)
@on_loop
async def test_a_missing_server_is_an_error_every_time(url: str) -> None:
    async with lines_to(url) as lines:
        for _ in range(3):
            assert await asyncio.gather(*(answers(lines) for _ in range(3))) == [False] * 3


@on_loop
async def test_a_line_that_was_closed_opens_again_when_it_is_needed(
    redis: Redis, redis_engine: RedisEngine
) -> None:
    lines = connect(redis_engine.url)
    for _ in range(2):
        assert await get(lines) is None
        await lines.close()
