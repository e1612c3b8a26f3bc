"""Redis in the three forms in which the loop may find it, and what a test asks of it there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis import Redis

from service.embedded import RedisEngine
from service.storage.lines import Lines, connect
from service.storage.redis_failures import REDIS_FAILURES
from tests.redis_engines import Group

KEY = "key"
LIMIT = 1.1  # seconds: what the service promises, and a little for a busy machine


class One:
    """One Redis."""

    def __init__(self, engine: RedisEngine) -> None:
        self.url = engine.url
        self.processes = [engine]

    def client(self) -> Redis:
        """Of the server that has the key."""
        return Redis.from_url(self.url, protocol=2)


class Several:
    """A Cluster, or a master with its Sentinels."""

    def __init__(self, group: Group) -> None:
        self.url = group.url
        self.processes = group.all()
        self._group = group

    def client(self) -> Redis:
        return self._group.master(KEY).client


@asynccontextmanager
async def lines_to(url: str) -> AsyncIterator[Lines]:
    lines = connect(url)
    try:
        yield lines
    finally:
        await lines.close()


async def get(lines: Lines, key: str = KEY) -> Any:
    """What GET replies. Either way it must be done within a second."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        return await lines.call(key, b"GET", key.encode())
    finally:
        assert loop.time() - started < LIMIT


async def answers(lines: Lines, key: str = KEY) -> bool:
    try:
        await get(lines, key)
    except REDIS_FAILURES:
        return False
    return True


async def until_it_answers(lines: Lines, key: str = KEY, within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not await answers(lines, key):
            await asyncio.sleep(0.01)
