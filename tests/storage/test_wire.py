"""What no healthy Redis does, with something in its place."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import hiredis
import pytest
from redis.asyncio import Connection
from redis.exceptions import (
    ConnectionError,
    TimeoutError,
)

from service.storage.line import Line
from service.storage.lines import ONCE
from service.storage.redis_failures import REDIS_FAILURES
from service.storage.wire import packed
from tests.loops import elapse, on_loop
from tests.storage.lines import LIMIT


class Fake:
    """In place of a Redis: answers introductions, and does with the rest what the test says."""

    def __init__(self, behave: Callable[[asyncio.StreamWriter, bytes], None]) -> None:
        self.connections = 0
        self.behave = behave

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Line]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        async def open_() -> Connection:
            connection = Connection(host="127.0.0.1", port=port, **ONCE)
            await connection.connect()
            return connection

        line = Line(open_)
        try:
            yield line
        finally:
            line.close()
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        parser = hiredis.Reader()
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                parser.feed(data)
                while (command := parser.gets()) is not False:
                    if command[0] == b"CLIENT":
                        writer.write(b"+OK\r\n")
                    else:
                        self.behave(writer, command[1])
        writer.close()


def bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


async def ask(line: Line, word: bytes) -> Any:
    return await asyncio.wait_for(line.send(packed(b"GET", word)), LIMIT)


@on_loop
async def test_a_reply_in_pieces_is_put_together() -> None:
    dripping: list[asyncio.Task[None]] = []

    async def bytes_of(word: bytes, writer: asyncio.StreamWriter) -> None:
        for byte in bulk(word):
            writer.write(bytes([byte]))
            await asyncio.sleep(0.001)

    def drip(writer: asyncio.StreamWriter, word: bytes) -> None:
        dripping.append(asyncio.ensure_future(bytes_of(word, writer)))

    async with Fake(drip).serving() as line:
        assert await ask(line, b"hello") == b"hello"
        assert await ask(line, b"") == b""


@on_loop
async def test_a_connection_that_ends_under_way_is_replaced_once_for_each_batch() -> None:
    fake = Fake(lambda writer, _: writer.transport.abort())
    async with fake.serving() as line:
        with pytest.raises(ConnectionError):
            await ask(line, b"first")
        assert fake.connections == 1  # it had just been opened
        fake.behave = lambda writer, word: writer.write(bulk(word))
        assert await ask(line, b"second") == b"second"
        fake.behave = lambda writer, _: writer.transport.abort()
        outcomes = await asyncio.gather(
            *(ask(line, b"third") for _ in range(5)), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [ConnectionError] * 5
        assert len({id(outcome) for outcome in outcomes}) == 5
        assert fake.connections == 3


@on_loop
async def test_what_is_no_reply_ends_the_connection() -> None:
    fake = Fake(lambda writer, _: writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    async with fake.serving() as line:
        with pytest.raises(ConnectionError, match="RESP"):
            await ask(line, b"first")
        fake.behave = lambda writer, word: writer.write(bulk(word))
        assert await ask(line, b"second") == b"second"
        assert fake.connections == 2


@on_loop
async def test_half_the_replies_are_none() -> None:
    """Those that came are not kept for the commands of the next batch."""
    fake = Fake(lambda writer, word: word == b"odd" and writer.write(bulk(word)))
    async with fake.serving() as line:
        asked = [ask(line, word) for word in (b"odd", b"even", b"odd")]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [TimeoutError] * 3
        fake.behave = lambda writer, word: writer.write(bulk(word))
        assert await ask(line, b"next") == b"next"


@on_loop
async def test_a_late_answer_is_not_taken_for_that_of_the_next_command() -> None:
    asked: list[asyncio.StreamWriter] = []

    def behave(writer: asyncio.StreamWriter, word: bytes) -> None:
        asked.append(writer)
        if len(asked) > 1:
            is_late = writer is asked[0]
            writer.write(bulk(b"first" if is_late else word))

    async with Fake(behave).serving() as line:
        with pytest.raises(TimeoutError):
            await ask(line, b"first")
        assert await ask(line, b"second") == b"second"


@on_loop
async def test_a_command_that_comes_while_a_batch_is_stuck_waits_a_second_in_all() -> None:
    loop = asyncio.get_running_loop()
    fake = Fake(lambda *_: None)
    async with fake.serving() as line:
        first = asyncio.ensure_future(ask(line, b"first"))
        await elapse(0.2)
        started = loop.time()
        second = asyncio.ensure_future(ask(line, b"second"))
        for asked in (first, second):
            with pytest.raises((TimeoutError, ConnectionError)):
                await asked
        assert loop.time() - started < LIMIT


@pytest.mark.parametrize(
    "error", [ValueError("of a setting"), UnicodeError("of a host's name"), RuntimeError("any")]
)
@on_loop
async def test_no_error_of_a_connection_leaves_a_command_waiting(
    error: Exception,
) -> None:
    async def open_() -> Connection:
        raise error

    line = Line(open_)
    for _ in range(2):
        with pytest.raises(REDIS_FAILURES):
            await asyncio.wait_for(line.send(packed(b"PING")), LIMIT)


def test_commands_are_packed_as_the_protocol_says() -> None:
    reader = hiredis.Reader()
    words = [b"SET", b"", b"\r\n", bytes(range(256)), "ü".encode()]
    reader.feed(packed(*words))
    assert reader.gets() == words
