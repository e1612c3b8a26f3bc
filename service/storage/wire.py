"""One connection to Redis on the event loop.

redis-py opens the connection, including TLS and login. After that, this module reads and writes the
socket itself, because redis-py does so too slowly for a session check.
"""
# mypy: allow-untyped-calls

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError, RedisError, ResponseError, TimeoutError

Done = Callable[[list[Any] | RedisError], None]


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
        self._connection = connection  # kept only for `connection_lost`
        self._transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        """Whether it can still carry a batch."""
        return not self._transport.is_closing()

    def exchange(self, commands: bytes, count: int, deadline: float, done: Done) -> None:
        """Send packed commands, and call `done` with their replies.

        Args:
            commands: joined results of `packed`.
            count: how many commands there are.
            deadline: on the loop's clock. If the replies take longer, the connection is closed, so
                that a late reply is never mistaken for that of another command.
            done: called once, with the replies in order or with redis-py's ConnectionError or
                TimeoutError. A reply is a ResponseError if Redis reports an error.
        """
        self._replies, self._expected = [], count
        self._done, self._deadline = done, deadline
        if self._watch is None:  # one timer serves many batches
            self._watch = self._loop.call_at(deadline, self._check)
        self._transport.write(commands)

    def close(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Collect replies (asyncio.Protocol)."""
        if self._done is None:  # the next command would get this reply
            self._fail(ConnectionError("Redis sent a reply without a command"))
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
        self._connection._writer = None  # or redis-py warns that it was left open
        self._fail(ConnectionError(f"The connection to Redis was lost: {error}"))

    def _check(self) -> None:
        self._watch = None
        if self._done is None:
            return
        if self._loop.time() < self._deadline:  # a later batch set it
            self._watch = self._loop.call_at(self._deadline, self._check)
        else:
            self._fail(TimeoutError("Redis did not answer in time"))

    def _fail(self, error: RedisError) -> None:
        self._transport.abort()
        if done := self._done:
            self._done = None
            done(error)
