"""The commands for one Redis server, which share a connection."""
# mypy: allow-untyped-calls

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError, RedisError, ResponseError, TimeoutError

from service.storage.limits import ANSWER_LIMIT, CALL_LIMIT
from service.storage.wire import Wire

LARGEST = 256  # commands in one batch, so that no batch takes long

Opener = Callable[[], Awaitable[AbstractConnection]]
Sent = tuple[bytes, asyncio.Future[Any]]  # a command and its reply


class Line:
    """Sends commands in batches: while one batch is in flight, new commands gather in the next.

    A single command is sent at once. If the connection breaks, a batch is sent again once, because
    every open connection is broken after a restart of Redis. A time-out is not retried. Batches use
    callbacks, because tasks would noticeably slow down every read.
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
        self._since = 0.0  # when the oldest command in `_waiting` came
        self._deadline = 0.0  # of `_batch`
        self._connecting: asyncio.Task[None] | None = None

    def send(self, command: bytes) -> asyncio.Future[Any]:
        """Send a packed command.

        Returns:
            A future for its reply. It raises ResponseError if Redis reports an error, and
            ConnectionError or TimeoutError, within a second, if Redis does not answer.
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
                    # Each request gets its own error: a shared one would mix their tracebacks.
                    reply.set_exception(type(outcome)(*outcome.args))
        if self._waiting:
            self._begin()
        else:
            self._is_busy = False
