"""One connection to Redis on the event loop, and the line of commands that share it.

redis-py opens the connection, with TLS, passwords and all. From then on this module writes and
reads the socket itself, because redis-py's own way costs more than the rest of a session check.
"""
# mypy: allow-untyped-calls

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Awaitable, Callable
from typing import Any

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError, RedisError, ResponseError, TimeoutError

from service.storage.gathered import Gathered
from service.storage.limits import ANSWER_LIMIT, CALL_LIMIT

Opener = Callable[[], Awaitable[AbstractConnection]]


def packed(*words: bytes) -> bytes:
    """A command as it travels (RESP, https://redis.io/docs/latest/develop/reference/protocol-spec)."""
    sized = [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"*%d\r\n" % len(words) + b"".join(sized)


class Wire(asyncio.Protocol):
    """An open connection; it carries one batch of commands at a time."""

    def __init__(self, connection: AbstractConnection) -> None:
        """Take over the socket of a connection that redis-py has opened."""
        self._connection = connection  # closes the socket when it is collected
        self._transport: asyncio.Transport = connection._writer.transport  # type: ignore[union-attr, assignment]
        self._reader = hiredis.Reader(replyError=ResponseError)
        self._replies: list[Any] = []
        self._expected = 0
        self._answered: asyncio.Future[list[Any]] | None = None
        self._transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        """Whether a batch can still be sent."""
        return not self._transport.is_closing()

    async def exchange(self, commands: bytes, count: int, within: float) -> list[Any]:
        """Send packed commands and wait for their replies.

        Args:
            commands: as `packed` returns them, joined.
            count: how many there are.
            within: seconds; the connection is closed if the replies take longer, so that a late
                one is never taken for another command's.

        Returns:
            The replies in order; an error that Redis reports is one of them.

        Raises:
            ConnectionError, TimeoutError: redis-py's.
        """
        loop = asyncio.get_running_loop()
        self._replies, self._expected = [], count
        self._answered = loop.create_future()
        limit = loop.call_later(within, self._give_up)
        self._transport.write(commands)
        try:
            return await self._answered
        finally:
            limit.cancel()
            self._answered = None

    def close(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Collect replies; part of asyncio's protocol."""
        self._reader.feed(data)
        try:
            while len(self._replies) < self._expected:
                reply = self._reader.gets()
                if reply is False:
                    return
                self._replies.append(reply)
        except hiredis.ProtocolError as error:
            self._fail(ConnectionError(f"Redis sent what is not RESP: {error}"))
            return
        if self._answered and not self._answered.done():
            self._answered.set_result(self._replies)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the batch under way; part of asyncio's protocol."""
        self._connection._writer = None  # redis-py would warn that it was left open
        self._fail(ConnectionError(f"The connection to Redis was lost: {error}"))

    def _give_up(self) -> None:
        self._fail(TimeoutError("Redis did not answer in time"))

    def _fail(self, error: RedisError) -> None:
        self._transport.abort()
        if self._answered and not self._answered.done():
            self._answered.set_exception(error)


class Line:
    """Commands for one server, gathered into batches.

    A broken connection is replaced once for each batch, because that is how it looks when Redis was
    restarted; a late answer is not awaited twice.
    """

    def __init__(self, opener: Opener) -> None:
        """
        Args:
            opener: connects to the server and logs in.
        """
        self._open = opener
        self._wire: Wire | None = None
        self._gathered: Gathered[bytes, Any] = Gathered(self._exchange)

    def send(self, command: bytes) -> asyncio.Future[Any]:
        """Send a packed command; the future holds its reply.

        The future raises ResponseError if Redis reports an error, and ConnectionError or
        TimeoutError, within a second, if it does not answer.
        """
        return self._gathered.ask(command)

    def close(self) -> None:
        """Close the connection; it is opened again when it is needed."""
        if self._wire:
            self._wire.close()

    async def _exchange(self, commands: list[bytes], since: float) -> list[Any]:
        deadline = since + CALL_LIMIT
        was_open = self._wire is not None and self._wire.is_open
        try:
            return await self._attempt(commands, deadline)
        except ConnectionError:
            if not was_open:
                raise
        return await self._attempt(commands, deadline)

    async def _attempt(self, commands: list[bytes], deadline: float) -> list[Any]:
        wire = await self._connected(deadline)
        left = deadline - asyncio.get_running_loop().time()
        return await wire.exchange(b"".join(commands), len(commands), min(ANSWER_LIMIT, left))

    async def _connected(self, deadline: float) -> Wire:
        if self._wire is None or not self._wire.is_open:
            try:
                async with asyncio.timeout_at(deadline):
                    self._wire = Wire(await self._open())
            except builtins.TimeoutError as error:
                raise TimeoutError("Redis could not be reached in time") from error
        return self._wire
