"""One connection to Redis on the event loop, and the line of commands that share it.

redis-py opens the connection, including TLS and login. After that, this module reads and writes the
socket itself: redis-py takes longer for a read than the rest of a session check takes.
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

from service.storage.limits import ANSWER_LIMIT, CALL_LIMIT

LARGEST = 256  # commands in one batch, so that its replies do not take long

Opener = Callable[[], Awaitable[AbstractConnection]]
Done = Callable[[list[Any] | RedisError], None]
Sent = tuple[bytes, asyncio.Future[Any]]  # a command and its reply


def packed(*words: bytes) -> bytes:
    """A command in Redis' wire format (RESP, https://redis.io/docs/latest/develop/reference/protocol-spec)."""
    sized = [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"*%d\r\n" % len(words) + b"".join(sized)


class Wire(asyncio.Protocol):
    """An open connection, which carries one batch of commands at a time."""

    def __init__(self, connection: AbstractConnection) -> None:
        """Take over the socket of a connection that redis-py has opened."""
        self._transport: asyncio.Transport = connection._writer.transport  # type: ignore[union-attr, assignment]
        self._loop = asyncio.get_running_loop()
        self._parser = hiredis.Reader(replyError=ResponseError)
        self._replies: list[Any] = []
        self._expected = 0
        self._done: Done | None = None
        self._deadline = 0.0
        self._watch: asyncio.TimerHandle | None = None
        # redis-py's object for the connection, which is no longer used.
        self._connection = connection
        self._transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        """Whether it can still carry a batch."""
        return not self._transport.is_closing()

    def exchange(self, commands: bytes, count: int, deadline: float, done: Done) -> None:
        """Send packed commands, and call `done` with their replies.

        Args:
            commands: as `packed` returns them, joined.
            count: how many there are.
            deadline: by the loop's clock; the connection is closed if the replies take longer, so
                that a late one is never taken for another command's.
            done: called once: with the replies in order, which include the errors that Redis
                reports, or with redis-py's ConnectionError or TimeoutError.
        """
        self._replies, self._expected = [], count
        self._done, self._deadline = done, deadline
        if self._watch is None:  # one timer for many batches
            self._watch = self._loop.call_at(deadline, self._check)
        self._transport.write(commands)

    def close(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Collect replies (asyncio.Protocol)."""
        if self._done is None:  # the next command would take it for its own
            self._fail(ConnectionError("Redis sent a reply that nobody asked for"))
            return
        self._parser.feed(data)
        try:
            while len(self._replies) < self._expected:
                reply = self._parser.gets()
                if reply is False:
                    return
                self._replies.append(reply)
        except hiredis.ProtocolError as error:
            self._fail(ConnectionError(f"Redis sent something other than RESP: {error}"))
            return
        if self._parser.has_data():
            self._fail(ConnectionError("Redis sent more replies than there were commands"))
            return
        done, self._done = self._done, None
        done(self._replies)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the current batch (asyncio.Protocol)."""
        if self._watch:
            self._watch.cancel()
        self._connection._writer = None  # otherwise redis-py warns that it was left open
        self._fail(ConnectionError(f"The connection to Redis was lost: {error}"))

    def _check(self) -> None:
        self._watch = None
        if self._done is None:
            return
        if self._loop.time() < self._deadline:  # that of a later batch
            self._watch = self._loop.call_at(self._deadline, self._check)
        else:
            self._fail(TimeoutError("Redis did not answer in time"))

    def _fail(self, error: RedisError) -> None:
        self._transport.abort()
        if done := self._done:
            self._done = None
            done(error)


class Line:
    """Commands for one server. While one batch is in flight, new commands gather in the next.

    A single command is sent at once. A broken connection is replaced once per batch, because every
    connection is broken after a restart of Redis; a time-out is not retried. Batches use callbacks
    instead of tasks: a task would cost as much as the read itself.
    """

    def __init__(self, opener: Opener) -> None:
        """
        Args:
            opener: connects to the server and logs in.
        """
        self._open = opener
        self._wire: Wire | None = None
        self._waiting: list[Sent] = []
        self._batch: list[Sent] = []  # in flight
        self._is_busy = False
        self._may_retry = False
        self._since = self._deadline = 0.0  # when the oldest in `_waiting` came; of `_batch`
        self._connecting: asyncio.Task[None] | None = None

    def send(self, command: bytes) -> asyncio.Future[Any]:
        """Send a packed command; the future holds its reply.

        The future raises ResponseError if Redis reports an error, and ConnectionError or
        TimeoutError, within a second, if it does not answer.
        """
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Any] = loop.create_future()
        if not self._waiting:
            self._since = loop.time()
        self._waiting.append((command, reply))
        if not self._is_busy:
            self._is_busy = True
            loop.call_soon(self._begin)
        return reply

    def close(self) -> None:
        """Close the connection; the next command opens a new one."""
        if self._wire:
            self._wire.close()

    def _begin(self) -> None:
        self._batch, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
        self._deadline = self._since + CALL_LIMIT
        self._may_retry = self._wire is not None and self._wire.is_open
        self._carry()

    def _carry(self) -> None:
        loop = asyncio.get_running_loop()
        if self._wire is None or not self._wire.is_open:
            self._connecting = loop.create_task(self._connect())
            return
        commands = b"".join([command for command, _ in self._batch])
        deadline = min(self._deadline, loop.time() + ANSWER_LIMIT)
        self._wire.exchange(commands, len(self._batch), deadline, self._end)

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout_at(self._deadline):
                self._wire = Wire(await self._open())
        except builtins.TimeoutError:
            self._end(TimeoutError("Redis could not be reached in time"))
        except Exception as error:  # noqa: BLE001 - no request may wait forever
            self._may_retry = False
            self._end(ConnectionError(f"Redis cannot be reached: {error}"))
        else:
            self._carry()

    def _end(self, outcome: list[Any] | RedisError) -> None:
        if isinstance(outcome, ConnectionError) and self._may_retry:
            self._may_retry = False
            self._carry()
            return
        batch, self._batch = self._batch, []
        if isinstance(outcome, list):
            for (_, reply), found in zip(batch, outcome, strict=True):
                if reply.done():  # its request was canceled
                    continue
                if isinstance(found, ResponseError):
                    reply.set_exception(found)
                else:
                    reply.set_result(found)
        else:
            for _, reply in batch:
                if not reply.done():
                    # A new one for each request: a shared one would mix their tracebacks.
                    reply.set_exception(type(outcome)(*outcome.args))
        if self._waiting:
            self._begin()
        else:
            self._is_busy = False
