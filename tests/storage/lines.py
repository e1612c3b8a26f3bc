"""Redis in the three forms in which the loop may find it, and what a test asks of it there."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from redis import Redis
from redis.exceptions import (
    RedisClusterException,
    RedisError,
)

from service.embedded import Redis as EmbeddedRedis
from service.storage.lines import Lines, connect
from tests.conditions import eventually as eventually_in_a_thread
from tests.redis_engines import Group, Node

KEY = "key"
LIMIT = 1.1  # seconds: what the service promises, and a little for a busy machine
FAILED = (RedisError, RedisClusterException)


class One:
    """One Redis."""

    def __init__(self, engine: EmbeddedRedis) -> None:
        self.url = engine.url
        self._pid = engine.pid

    def client(self) -> Redis:
        """Of the server that has the key."""
        return Redis.from_url(self.url, protocol=2)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        os.kill(self._pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._pid, signal.SIGCONT)


class Several:
    """A Cluster, or a master with its Sentinels."""

    def __init__(self, group: Group) -> None:
        self.url = group.url
        self.group = group

    def client(self) -> Redis:
        return self.group.master(KEY).client

    @contextmanager
    def frozen(self) -> Iterator[None]:
        with stopped(self.group.all()):
            yield


@contextmanager
def stopped(nodes: list[Node]) -> Iterator[None]:
    for node in nodes:
        node.freeze()
    try:
        yield
    finally:
        for node in nodes:
            node.thaw()


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
    except FAILED:
        return False
    return True


async def until_it_answers(lines: Lines, key: str = KEY, within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not await answers(lines, key):
            await asyncio.sleep(0.01)


def key_with_a_replica(group: Group) -> str:
    keys = [f"key-{number}" for number in range(30)]
    return eventually_in_a_thread(
        lambda: next((key for key in keys if all_have(group, key)), None), within=20
    )


def all_have(group: Group, key: str) -> bool:
    """Whether the master of the key has a replica, and the replica has all that the master has."""
    replication = group.master(key).client.info("replication")
    replica = replication.get("slave0")
    return bool(replica and replica["offset"] == replication["master_repl_offset"])
