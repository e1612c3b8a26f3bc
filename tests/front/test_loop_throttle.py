"""Limits on the event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog
from limits import parse
from redis import Redis
from structlog.testing import capture_logs

from service.embedded import RedisEngine
from service.front import throttle
from service.front.throttle import LoopThrottle
from service.storage import lines
from service.throttling import outages as throttling_outages
from service.throttling import rules
from service.throttling.outages import OutageLog
from service.throttling.rules import ThrottleRules
from service.throttling.table import Limited
from tests.loops import on_loop

FLOODER, OTHER = ("192.0.2.1", 1), ("192.0.2.2", 1)


@asynccontextmanager
async def opened(url: str, outages: OutageLog | None = None) -> AsyncIterator[LoopThrottle]:
    table = {Limited.LOGIN: parse("3 per hour")}
    found = LoopThrottle(lines.connect(url), ThrottleRules(table), outages or OutageLog(), 0)
    try:
        yield found
    finally:
        await found.close()


@on_loop
async def test_of_a_flood_with_marks_a_few_requests_a_second_go_on(
    redis: Redis, redis_engine: RedisEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can invent a mark, and each costs a thread and a query."""
    monkeypatch.setattr(rules, "REMEMBERED", 60.0)
    async with opened(redis_engine.url) as limited:
        charged = [await limited.charge(Limited.LOGIN, FLOODER, []) for _ in range(4)]
        assert [answer.status if answer else None for answer in charged] == [None] * 3 + [429]

        def passed(may_be_excepted: bool) -> int:
            answers = [
                limited.refusal(Limited.LOGIN, FLOODER, [], may_be_excepted) for _ in range(200)
            ]
            return answers.count(None)

        assert passed(may_be_excepted=False) == 0
        assert passed(may_be_excepted=True) == throttle.EXCEPTIONS
        assert limited.refusal(Limited.LOGIN, OTHER, [], may_be_excepted=True) is None
        limited._excepted_since -= 1  # a second later
        assert passed(may_be_excepted=True) == throttle.EXCEPTIONS


@on_loop
async def test_an_outage_is_logged_once_by_loop_and_threads_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(throttling_outages, "log", structlog.get_logger())  # configured as now
    outages = OutageLog()
    async with opened("unix:///nowhere/redis.sock", outages) as limited:
        with capture_logs() as logged:
            outages.note("refund")
            for _ in range(3):
                assert await limited.charge(Limited.LOGIN, FLOODER, []) is None
    assert [line["step"] for line in logged if line["event"] == "throttle_unavailable"] == [
        "refund"
    ]
