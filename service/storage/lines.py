"""Sends commands to the right server: a single Redis, Sentinel's master, or a node of a Cluster."""
# mypy: allow-untyped-calls

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Awaitable
from typing import Any, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from redis.asyncio import Connection, ConnectionPool, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    ConnectionError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TimeoutError,
)

from service.storage.addresses import hosts, login
from service.storage.limits import ANSWER_LIMIT, CALL_LIMIT, CONNECT_LIMIT, SENTINEL_LIMIT
from service.storage.line import Line
from service.storage.wire import packed

ONCE: dict[str, Any] = {"protocol": 2, "driver_info": None, "retry": Retry(NoBackoff(), 0)}
WAITS: dict[str, Any] = {"socket_connect_timeout": CONNECT_LIMIT, "socket_timeout": ANSWER_LIMIT}
# Errors of a Cluster's node begin like this if a key is elsewhere, or unavailable for now.
ELSEWHERE = ("MOVED ", "ASK ", "CLUSTERDOWN ", "TRYAGAIN ")

Address = tuple[str, int]  # host and port


def connect(url: str) -> Lines:
    """Lines to the Redis at `url`; see `service.storage.redis.connect` for its form.

    They connect on first use, and then belong to the current event loop.
    """
    parts = urlsplit(url)
    if parts.scheme == "redis+sentinel":
        return _OneLine(_to_master(parts))
    if parts.scheme == "redis+cluster":
        return _ClusterLines(parts)
    pool = ConnectionPool.from_url(url, **ONCE, **WAITS)
    return _OneLine(lambda: _opened(pool.make_connection()))


class Lines(Protocol):
    """Sends commands on the event loop, each to the server that has its key."""

    def call(self, key: str, *words: bytes) -> Awaitable[Any]:
        """Send a command, and return its reply.

        Args:
            key: a key that the command reads or changes; all its keys are in one slot.
            words: the command, beginning with its name.

        Raises:
            ResponseError: Redis reports an error.
            RedisError, RedisClusterException: Redis does not answer, within a second.
        """

    async def close(self) -> None:
        """Close every connection."""


class _OneLine:
    def __init__(self, opener: Any) -> None:
        self._line = Line(opener)

    def call(self, key: str, *words: bytes) -> Awaitable[Any]:  # noqa: ARG002
        return self._line.send(packed(*words))

    async def close(self) -> None:
        self._line.close()


class _ClusterLines:
    """A line for each node, so that a node that is down affects only its own keys."""

    def __init__(self, parts: SplitResult) -> None:
        self._login = login(parts)
        self._seeds = hosts(parts, 6379)
        self._cluster: RedisCluster | None = None
        self._lines: dict[Address, Line] = {}
        self._silent: set[Address] = set()  # nodes that did not answer: a replica may take over
        self._search: asyncio.Task[None] | None = None  # for the nodes that have the keys now

    async def call(self, key: str, *words: bytes) -> Any:
        try:
            async with asyncio.timeout(CALL_LIMIT):
                return await self._call(key, words)
        except builtins.TimeoutError as error:
            raise TimeoutError("Redis did not answer in time") from error

    async def close(self) -> None:
        for line in self._lines.values():
            line.close()
        if self._search:
            self._search.cancel()
        if self._cluster:
            await self._cluster.aclose()

    async def _call(self, key: str, words: tuple[bytes, ...]) -> Any:
        cluster = await self._map()
        address = self._address(cluster, key)
        if address in self._silent:
            await self._find_nodes(cluster)
            self._silent.discard(address)
            address = self._address(cluster, key)
        try:
            return await self._line(address).send(packed(*words))
        except ResponseError as error:
            if not str(error).startswith(ELSEWHERE):
                raise
        except TimeoutError:
            # The command may have been carried out, so only the next one looks for the replica.
            self._silent.add(address)
            raise
        except (ConnectionError, RedisClusterException):
            # The node's replica may have taken over.
            await self._find_nodes(cluster)
        return await cluster.execute_command(words[0].decode(), *words[1:])  # follows redirections

    async def _find_nodes(self, cluster: RedisCluster) -> None:
        """Ask again which node has which keys. Commands that need that at a time share one search,
        which goes on for the others when one of them gives up."""
        if self._search is None or self._search.done():
            self._search = asyncio.ensure_future(cluster.nodes_manager.initialize())
            self._search.add_done_callback(_take_note)
        await asyncio.shield(self._search)

    async def _map(self) -> RedisCluster:
        if self._cluster is None:
            self._cluster = RedisCluster(
                startup_nodes=[ClusterNode(*seed) for seed in self._seeds],
                require_full_coverage=False,
                retry=Retry(NoBackoff(), 1),
                **self._login,
                **WAITS,
                protocol=2,
                driver_info=None,
            )
            # Without these, replies stay as Redis sends them, as on the lines.
            for command in [*self._cluster.response_callbacks]:
                if not command.startswith(("CLUSTER", "COMMAND")):
                    del self._cluster.response_callbacks[command]
        await self._cluster.initialize()
        return self._cluster

    def _address(self, cluster: RedisCluster, key: str) -> Address:
        node = cluster.get_node_from_key(key)
        if node is None:
            raise ConnectionError("No node of the Cluster has this key")
        return str(node.host), int(node.port)

    def _line(self, address: Address) -> Line:
        if address not in self._lines:
            self._lines[address] = Line(lambda: _opened(self._connection(*address)))
        return self._lines[address]

    def _connection(self, host: str, port: int) -> Connection:
        return Connection(host=host, port=port, **self._login, **ONCE, **WAITS)


def _to_master(parts: SplitResult) -> Any:
    name, _, database = parts.path.strip("/").partition("/")
    waits = {"socket_connect_timeout": SENTINEL_LIMIT, "socket_timeout": SENTINEL_LIMIT}
    sentinel = Sentinel(hosts(parts, 26379), sentinel_kwargs={**ONCE, **waits})
    options = {"db": int(database or 0), **login(parts), **ONCE, **WAITS}

    async def open_master() -> AbstractConnection:
        try:
            host, port = await sentinel.discover_master(unquote(name))
        finally:
            for each in sentinel.sentinels:  # too rarely used to stay connected
                await each.aclose()
        return await _opened(Connection(host=host, port=port, **options))

    return open_master


def _take_note(search: asyncio.Task[None]) -> None:
    """Whoever still waits gets the error; asyncio logs it if nobody does, unless it was read."""
    if not search.cancelled():
        search.exception()


async def _opened(connection: AbstractConnection) -> AbstractConnection:
    try:
        await connection.connect()
    except RedisError:
        raise
    except OSError as error:
        raise ConnectionError(str(error)) from error
    return connection
