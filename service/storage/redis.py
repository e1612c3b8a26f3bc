"""Redis clients for one server, Sentinel or Cluster, whose waits add up to less than a second."""
# mypy: allow-untyped-calls

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from types import TracebackType
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from redis import BlockingConnectionPool, Redis, RedisCluster
from redis._parsers.encoders import Encoder
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.exceptions import ConnectionError, RedisClusterException
from redis.retry import Retry
from redis.sentinel import Sentinel

from service.errors import EvictionUnknown, Unavailable
from service.storage.addresses import hosts, login, names, without_login
from service.storage.redis_connections import (
    BOUNDED,
    MasterPool,
    NodePool,
    ToNode,
    ToSentinel,
    end_call,
    note_failure,
    start_call,
)
from service.storage.redis_failures import REDIS_FAILURES

POOL: dict[str, Any] = {
    "max_connections": 64,
    "timeout": 0.25,  # seconds to wait for one of them
    "protocol": 2,
    "driver_info": None,  # no CLIENT SETINFO, which Redis 7.0 cannot allow by itself
}
# One retry, and only after a broken connection, because every pooled connection is broken after a
# restart of Redis. A time-out is not retried: the wait would double.
RETRY = Retry(NoBackoff(), 1, supported_errors=(ConnectionError,))


def connect(url: str) -> Redis | RedisCluster:
    """A client for `url`, which connects on first use.

    Args:
        url: `redis://`, `rediss://` or `unix://` as in redis-py;
            `redis+sentinel://[USER:PASSWORD@]HOST:PORT,HOST:PORT/NAME[/DB]`, with the Sentinels
            that watch the master NAME, and the login of the master; or
            `redis+cluster://[USER:PASSWORD@]HOST:PORT,HOST:PORT`, with some nodes of a Cluster.
    """
    parts = urlsplit(url)
    if parts.scheme == "redis+sentinel":
        return _master(parts)
    if parts.scheme == "redis+cluster":
        return _cluster(parts)
    pool = BlockingConnectionPool.from_url(url, retry=RETRY, **POOL)
    pool.connection_class = BOUNDED[pool.connection_class]
    return Redis.from_pool(pool)


class failing_as:  # noqa: N801 - reads as `with failing_as(...)`; a generator is much slower
    """Limits the time of a call, and turns every failure of Redis or the connection into one of our
    own errors."""

    __slots__ = ("_call", "_started", "_unavailable")

    def __init__(self, unavailable: Callable[[], Unavailable]) -> None:
        self._unavailable = unavailable

    def __enter__(self) -> None:
        self._started, self._call = time.monotonic(), start_call()

    def __exit__(
        self, kind: object, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        end_call(self._call)
        if isinstance(error, REDIS_FAILURES):
            note_failure(time.monotonic() - self._started)
            raise self._unavailable() from error


def evicting_policies(client: Redis | RedisCluster) -> list[str]:
    """Each `maxmemory-policy` of the server, or of the masters of a Cluster, by which it deletes
    sessions when it is full; empty if it keeps them.

    Raises EvictionUnknown if a server does not answer, or does not permit the question.
    """
    with failing_as(EvictionUnknown):
        answers = _of_masters(client, "memory")
        policies = {answer.get("maxmemory_policy", "unknown") for answer in answers}
        return sorted(policies - {"noeviction"})


STRANGERS = (
    "The Redis at REDIS_URL asks nobody for a password, so whoever can reach it can sign in as"
    " anybody. Give its default user a password, or turn that user off."
)


def eviction_sentence(policies: list[str]) -> str:
    """What it means that the Redis of the sessions has these policies, and what to do."""
    return (
        "The Redis at REDIS_URL deletes sessions when it is full, and so signs people out. Set"
        f" maxmemory-policy to noeviction; it is {', '.join(policies)}."
    )


def keeps_append_only_file(client: Redis | RedisCluster) -> bool:
    """Whether the server, or each master of a Cluster, logs every change to disk.

    Raises Unavailable if a server does not answer.
    """
    with failing_as(Unavailable):
        return all(answer["aof_enabled"] for answer in _of_masters(client, "persistence"))


def serves_strangers(url: str) -> bool:
    """Whether the Redis at `url` lets those read who show neither password nor certificate: a user
    without a password accepts any. False if it does not answer."""
    client = connect(without_login(url))
    try:
        with failing_as(Unavailable):
            client.exists("coatcheck")
    except Unavailable:
        return False
    finally:
        client.close()
    return True


def _of_masters(client: Redis | RedisCluster, section: str) -> list[dict[str, Any]]:
    # INFO, because hosted Redis services forbid CONFIG.
    if isinstance(client, RedisCluster):
        return [client.info(section, target_nodes=node) for node in client.get_primaries()]
    return [client.info(section)]


def _master(parts: SplitResult) -> Redis:
    name, _, database = parts.path.strip("/").partition("/")
    sentinel = Sentinel([])
    sentinel.sentinels = [
        Redis.from_pool(
            BlockingConnectionPool(host=host, port=port, connection_class=ToSentinel, **POOL)
        )
        for host, port in hosts(parts, 26379)
    ]
    pool = MasterPool(
        unquote(name), sentinel, db=int(database or 0), retry=RETRY, **login(parts), **POOL
    )
    return Redis.from_pool(pool)


class _Nodes(RedisCluster):
    ERRORS_ALLOW_RETRY = (ConnectionError,)  # type: ignore[assignment]


class Cluster(RedisCluster):
    """A RedisCluster that discovers its nodes on first use, and again if it loses all of them."""

    def __init__(self, find: Callable[[], RedisCluster]) -> None:
        self._find = find
        self._finding = Lock()
        self._found: RedisCluster | None = None
        self.encoder = Encoder("utf-8", "strict", False)  # register_script reads it

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send one command to the node that has its keys."""
        try:
            return self._cluster().execute_command(*args, **options)
        except RedisClusterException:
            self._found = None
            raise

    def __getattr__(self, name: str) -> Any:
        """An attribute that RedisCluster's constructor sets, which has not run here."""
        return getattr(self._cluster(), name)

    def close(self) -> None:
        """Close every connection; the next use discovers the nodes again."""
        found, self._found = self._found, None
        if found:  # its own close() leaves the connections to the garbage collector
            for node in [*found.get_nodes(), *found.startup_nodes]:
                if node.redis_connection:
                    node.redis_connection.connection_pool.disconnect()

    def _cluster(self) -> RedisCluster:
        if (cluster := self._found) is None:
            with self._finding:
                cluster = self._found = self._found or self._find()
        return cluster


def _cluster(parts: SplitResult) -> Cluster:
    first = names(parts)[0]
    options: dict[str, Any] = {
        "url": f"redis://{first}",  # without it, redis-py ignores the classes below
        "connection_pool_class": NodePool,
        "connection_class": ToNode,
        "require_full_coverage": False,
        "retry": RETRY,
    }
    options |= login(parts) | POOL

    def find() -> RedisCluster:
        others = [ClusterNode(*host) for host in hosts(parts, 6379)[1:]]
        return _Nodes(startup_nodes=others, **options)

    return Cluster(find)
