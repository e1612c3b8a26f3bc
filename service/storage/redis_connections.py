"""Connections to Redis that limit the time of each call, and notice a demoted master."""
# mypy: allow-untyped-calls

from __future__ import annotations

import time
from contextvars import ContextVar, Token
from queue import Empty
from socket import socket
from typing import Any, cast

from redis import BlockingConnectionPool, Connection, SSLConnection, UnixDomainSocketConnection
from redis.connection import AbstractConnection
from redis.exceptions import ConnectionError, MaxConnectionsError, ResponseError, TimeoutError
from redis.sentinel import SentinelConnectionPool, SentinelManagedConnection

from service.storage.limits import (
    ANSWER_LIMIT,
    CALL_LIMIT,
    CALL_SHARE,
    CONNECT_LIMIT,
    REQUEST_LIMIT,
    SENTINEL_LIMIT,
)

_deadline: ContextVar[float] = ContextVar("deadline", default=float("inf"))
_request_left: ContextVar[float | None] = ContextVar("request_left", default=None)


class RedisTimeBudget:
    """Sets one time limit for all failing calls in its block; outside, each call has its own."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = _request_left.set(REQUEST_LIMIT)

    def __exit__(self, *_: object) -> None:
        _request_left.reset(self._before)


def start_call() -> Token[float]:
    """Limit the time of one call, which includes connecting, asking Sentinels and retrying."""
    left = _request_left.get()
    limit = CALL_LIMIT if left is None else CALL_SHARE * left
    return _deadline.set(min(_deadline.get(), time.monotonic() + limit))


def note_failure(seconds: float) -> None:
    """Subtract the time of a failed call from the rest of its request's limit. Successful calls do
    not count, because a request that waits for another one may make many."""
    if (left := _request_left.get()) is not None:
        _request_left.set(left - seconds)


def end_call(call: Token[float]) -> None:
    """Lift the limit that `start_call` set."""
    _deadline.reset(call)


def _left(limit: float) -> float:
    left = min(limit, _deadline.get() - time.monotonic())
    if left <= 0:
        raise TimeoutError("The call has used up its time")
    return left


class _Bounded(AbstractConnection):
    connect_limit = CONNECT_LIMIT
    answer_limit = ANSWER_LIMIT

    def _connect(self) -> Any:
        self.socket_connect_timeout = _left(self.connect_limit)
        self.socket_timeout = _left(self.answer_limit)  # for the TLS handshake
        try:
            return super()._connect()  # type: ignore[safe-super]
        finally:
            self.socket_timeout = self.answer_limit  # the normal value

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if self._sock is None:
            self.connect()  # redis-py would reconnect to a replaced master
        left = _left(self.answer_limit)
        if left < self.answer_limit:
            cast(socket, self._sock).settimeout(left)
        super().send_packed_command(command, check_health)

    def read_response(self, *args: Any, **options: Any) -> Any:
        # Under Sentinel, redis-py keeps a connection after a time-out, so that the next command
        # would receive the late reply.
        options["disconnect_on_error"] = True
        try:
            return super().read_response(*args, **options)
        except ResponseError as error:
            # Not ReadOnlyError: Redis 6 wraps the error of a script in "ERR Error running".
            if "READONLY" not in str(error):
                raise
            self.disconnect()
            raise ConnectionError("This master has become a replica") from error


class ToNode(_Bounded, Connection):
    """A connection to one server over TCP."""


class _Tls(_Bounded, SSLConnection):
    pass


class _Unix(_Bounded, UnixDomainSocketConnection):
    pass


class ToSentinel(ToNode):
    """A connection to a Sentinel, which knows where the master is."""

    connect_limit = SENTINEL_LIMIT
    answer_limit = SENTINEL_LIMIT


class _ToMaster(_Bounded, SentinelManagedConnection):
    pass


BOUNDED: dict[type[Any], Any] = {
    Connection: ToNode,
    SSLConnection: _Tls,
    UnixDomainSocketConnection: _Unix,
}


class MasterPool(SentinelConnectionPool, BlockingConnectionPool):
    """Connections to the server that Sentinel calls the master."""

    def __init__(self, service_name: str, sentinel_manager: Any, **options: Any) -> None:
        super().__init__(service_name, sentinel_manager, connection_class=_ToMaster, **options)

    def owns_connection(self, connection: Any) -> int:
        """Keep a connection to a former master; on its next use, it finds the current one.

        redis-py would drop it, and a blocking pool keeps a place for a dropped connection forever.
        """
        if (connection.host, connection.port) != self.master_address:
            connection.disconnect()
        return BlockingConnectionPool.owns_connection(self, connection)

    def disconnect(self, inuse_connections: bool = True) -> None:
        """Close all connections, including those to the Sentinels."""
        super().disconnect(inuse_connections)
        for sentinel in self.sentinel_manager.sentinels:
            sentinel.connection_pool.disconnect(inuse_connections)


class NodePool(BlockingConnectionPool):
    """Connections to one node of a Cluster."""

    def get_connection(self, *args: Any, **options: Any) -> Any:
        try:
            return super().get_connection(*args, **options)
        except ConnectionError as error:
            # All are in use. If this looked like a broken connection, RedisCluster would consider
            # the node dead, and its busy connections as well.
            if isinstance(error.__context__, Empty):
                raise MaxConnectionsError(str(error)) from error
            raise
