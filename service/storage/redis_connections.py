"""Connections to Redis that respect the time that a call has left, and notice a demoted master."""
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
    """Gives all failing calls in its block one time limit; outside, each call has its own."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = _request_left.set(REQUEST_LIMIT)

    def __exit__(self, *_: object) -> None:
        _request_left.reset(self._before)


def start_call() -> Token[float]:
    """Start the clock of one call, which includes connecting, asking Sentinels and retrying."""
    left = _request_left.get()
    limit = CALL_LIMIT if left is None else CALL_SHARE * left
    return _deadline.set(min(_deadline.get(), time.monotonic() + limit))


def note_failure(seconds: float) -> None:
    """Subtract the time of a failed call from what its request has left. A successful call costs
    nothing, because a request may wait for other requests for longer."""
    if (left := _request_left.get()) is not None:
        _request_left.set(left - seconds)


def end_call(call: Token[float]) -> None:
    """End what `start_call` began."""
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
            self.socket_timeout = self.answer_limit  # as a checkout from the pool sets it

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if self._sock is None:
            self.connect()  # redis-py itself would return to a master that has been replaced
        left = _left(self.answer_limit)
        if left < self.answer_limit:
            cast(socket, self._sock).settimeout(left)
        super().send_packed_command(command, check_health)

    def read_response(self, *args: Any, **options: Any) -> Any:
        # Under Sentinel, redis-py keeps the connection after a time-out, and would take the late
        # answer for that of the next command.
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
    """A connection to a Sentinel, to ask where the master is."""

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
        """Keep a connection to a former master; when next used, it asks for the current one.

        redis-py would drop it, and a blocking pool never forgets a connection that was dropped.
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
