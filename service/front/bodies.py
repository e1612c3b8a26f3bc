"""Reads the body of a request on the event loop, within limits of size and time."""

from __future__ import annotations

import asyncio

from service.errors import BodyTooLarge, BodyTooSlow
from service.front.asgi import ClientGone, RawHeaders, Receive

LONGEST_LENGTH = 18  # digits of a Content-Length


async def read_body(
    receive: Receive, headers: RawHeaders, limit: int, within: float, has_arrived: bool = False
) -> bytes:
    """The whole body of a request; empty if it has none.

    Args:
        receive: from ASGI.
        headers: of the request, with names in lower case.
        limit: bytes.
        within: seconds.
        has_arrived: whether the whole body has arrived; then no timer is needed.

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
                # Until Python 3.12, the wait_for in `receive` ignores a time-out if a byte arrives
                # at the same moment.
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


def _declared_length(headers: RawHeaders) -> int | None:
    """The bytes that Content-Length declares; None for a chunked body; 0 without a body."""
    chunked = False
    for name, value in headers:
        if name == b"content-length":
            return int(value) if len(value) <= LONGEST_LENGTH else 10**LONGEST_LENGTH
        chunked = chunked or name == b"transfer-encoding"
    return None if chunked else 0
