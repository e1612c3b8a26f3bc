"""Reads the body of a request on the event loop, bounded in size and in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from service.errors import BodyTooLarge, BodyTooSlow

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

LONGEST_LENGTH = 18  # digits of a Content-Length


class ClientGone(Exception):
    """The client has closed the connection; nobody waits for an answer."""


async def read_body(
    receive: Receive, headers: Headers, limit: int, within: float, has_arrived: bool = False
) -> bytes:
    """The whole body of a request; empty if it has none.

    Args:
        receive: ASGI's.
        headers: of the request, names in lower case.
        limit: bytes.
        within: seconds.
        has_arrived: whether it is all there, and takes no time.

    Raises:
        BodyTooLarge, BodyTooSlow, ClientGone
    """
    length = _declared_length(headers)
    if length == 0:
        return b""
    if length is not None and length > limit:
        raise BodyTooLarge(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(None if has_arrived else within) as timeout:
            while True:
                message = await receive()
                # Until Python 3.12, wait_for in `receive` loses a cancellation to a byte.
                if timeout.expired():
                    raise BodyTooSlow
                if message["type"] != "http.request":
                    raise ClientGone
                body += message["body"]
                if len(body) > limit:
                    raise BodyTooLarge(limit)
                if not message["more_body"]:
                    return bytes(body)
    except TimeoutError:
        raise BodyTooSlow from None


def _declared_length(headers: Headers) -> int | None:
    """Bytes, as Content-Length says; None if the body comes in chunks; 0 if there is none."""
    chunked = False
    for name, value in headers:
        if name == b"content-length":
            return int(value) if len(value) <= LONGEST_LENGTH else 10**LONGEST_LENGTH
        chunked = chunked or name == b"transfer-encoding"
    return None if chunked else 0
