"""The types of ASGI 3, and the error that the client is gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
RawHeaders = list[tuple[bytes, bytes]]  # names in lower case


class ClientGone(Exception):
    """The client has closed the connection and no longer waits for a response."""
