from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from service.errors import BodyTooLarge, BodyTooSlow
from service.front.asgi import ClientGone
from service.front.bodies import read_body
from tests.loops import on_loop

Receive = Callable[[], Awaitable[dict[str, Any]]]
CHUNKED = [(b"transfer-encoding", b"chunked")]


def of_length(length: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"x"), (b"content-length", length)]


def pieces(*bodies: bytes, then: str = "http.request") -> Receive:
    """Brings one piece after another, and `then` the end."""
    left = list(bodies)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        if left:
            return {"type": "http.request", "body": left.pop(0), "more_body": True}
        return {"type": then, "body": b"", "more_body": False}

    return receive


async def never() -> dict[str, Any]:
    raise AssertionError("asked for a body")


@on_loop
async def test_a_body_is_put_together() -> None:
    for headers in (of_length(b"5"), CHUNKED):
        assert await read_body(pieces(b"he", b"", b"llo"), headers, 5, 1.0) == b"hello"


@on_loop
async def test_without_length_and_chunks_there_is_no_body_to_wait_for() -> None:
    for headers in ([], of_length(b"0"), of_length(b"00")):
        assert await read_body(never, headers, 5, 1.0) == b""


@pytest.mark.parametrize("length", [b"6", b"9" * 18, b"9" * 19, b"9" * 8000, b"0" * 8000 + b"1"])
@on_loop
async def test_a_length_over_the_limit_is_rejected_before_a_byte_is_read(length: bytes) -> None:
    with pytest.raises(BodyTooLarge):
        await read_body(never, of_length(length), 5, 1.0)


@on_loop
async def test_chunks_over_the_limit_are_rejected_as_they_come() -> None:
    with pytest.raises(BodyTooLarge):
        await read_body(pieces(*[b"x"] * 1000), CHUNKED, 5, 1.0)


@on_loop
async def test_a_client_that_leaves_is_noticed() -> None:
    with pytest.raises(ClientGone):
        await read_body(pieces(b"he", then="http.disconnect"), of_length(b"5"), 5, 1.0)


@on_loop
async def test_a_body_that_does_not_come_is_given_up() -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.sleep(10)
        raise AssertionError("waited")

    with pytest.raises(BodyTooSlow):
        await read_body(receive, CHUNKED, 5, 0.05)


@on_loop
async def test_a_byte_that_comes_as_the_time_is_over_buys_no_more_of_it() -> None:
    """asyncio.wait_for, in which gunicorn waits for a body, drops a cancellation when what it waits
    for is there in the same turn of the loop; until Python 3.12. uvloop cuts this limit to 50 ms,
    so that the clock may say that time is left."""

    async def receive() -> dict[str, Any]:
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
        return {"type": "http.request", "body": b"x", "more_body": True}

    loop = asyncio.get_running_loop()
    started = loop.time()
    with pytest.raises(BodyTooSlow):
        await read_body(receive, CHUNKED, 5, 0.0504)
    assert loop.time() - started < 0.5
