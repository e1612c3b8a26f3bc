"""gunicorn's connection, with a limit on the time and the work that each client can cost."""
# mypy: allow-untyped-calls

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from gunicorn.asgi.parser import LimitRequestHeaders, ParseError
from gunicorn.asgi.protocol import ASGIProtocol

if TYPE_CHECKING:
    from service.front.worker import Worker

HEAD_LIMIT = 10.0  # seconds for the head of the first request
LARGEST_HEAD = 32 * 1024  # bytes
WRITE_LIMIT = 10.0  # seconds that a response waits for a client that does not read
TINY, MOST_TINY = 256, 256  # bytes of a tiny piece of a body; how many may arrive at once
LINGER = 1.0  # seconds for the client to read the last response

# gunicorn stores whether it has a C parser on the class that asks first, but reads it from its own.
ASGIProtocol._check_h1c_protocol_available()


class LimitedConnection(ASGIProtocol):  # type: ignore[misc]
    """Closes if the client takes too long to send a request or to read a response."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        self._closed = False
        self._head_has_begun = False
        self._head_size = 0  # bytes of an incomplete head
        self._lingers = self._is_last = False
        self._tiny_chunks = 0
        # gunicorn believes no header about the scheme, and drops those with an underscore in their
        # names. Only ProxyFix decides which headers of a proxy count.
        self._forwarded_trust: tuple[dict[str, str], list[str]] = ({}, [])
        self._secure_names: frozenset[bytes] = frozenset()
        self._stalled: asyncio.TimerHandle | None = None

    @property
    def is_gone(self) -> bool:
        """Whether the connection is closed."""
        return bool(self._closed)

    @property
    def has_whole_request(self) -> bool:
        """Whether the whole body of the current request has arrived."""
        return bool(self._body_receiver and self._body_receiver._complete)

    def connection_made(self, transport: Any) -> None:
        """Limit the first head; gunicorn limits the heads of later requests by `keepalive`."""
        super().connection_made(transport)
        self.worker.connections.add(self)
        if self.worker.nr_conns > self.cfg.worker_connections:
            transport.abort()
            return
        self._keepalive_handle = self.worker.loop.call_later(HEAD_LIMIT, self._keepalive_timeout)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the connection is being closed."""
        if self._closed:
            return
        self._head_has_begun = True
        self._tiny_chunks = 0  # only those that arrive at once hold the loop
        super().data_received(data)

    def pause_writing(self) -> None:
        """Limit how long the client may go without reading."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.worker.loop.call_later(WRITE_LIMIT, self.transport.abort)

    def resume_writing(self) -> None:
        """Lift the limit: the client reads again."""
        super().resume_writing()
        if self._stalled:
            self._stalled.cancel()
            self._stalled = None

    def _resume_reading(self) -> None:
        # gunicorn resumes after each request, however much is still waiting behind it.
        if self._closed or self._http1_buffered() <= self._max_buffer_size:
            super()._resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """Drop the timers, and release a response that waits for the client to read."""
        if self._stalled:
            self._stalled.cancel()
        self.worker.connections.discard(self)
        super().connection_lost(error)
        if self._flow_control:
            self._flow_control.resume_writing()

    def close_if_idle(self) -> None:
        """Close the connection unless it has a request in progress."""
        if self._awaiting_request and not self._head_has_begun:
            self._keepalive_timeout()

    def close_after_response(self) -> None:
        """Close the connection after the current response."""
        self._is_last = True

    def _will_close(self, request: Any, response_requires_close: bool) -> bool:
        return self._is_last or bool(super()._will_close(request, response_requires_close))

    def _on_body(self, chunk: bytes) -> None:
        if len(chunk) < TINY:
            self._tiny_chunks += 1
            if self._tiny_chunks > MOST_TINY:
                raise ParseError("The body comes in too many pieces.")
        super()._on_body(chunk)

    def _on_message_complete(self) -> None:
        self._head_has_begun = False
        super()._on_message_complete()

    def _feed_callback_parser(self, data: bytes) -> bool:
        """Keep no more of a head than it may have; gunicorn counts its lines only."""
        if self._reads_a_head:
            self._head_size += len(data)
        goes_on = bool(super()._feed_callback_parser(data))
        if goes_on and self._reads_a_head and self._head_size > LARGEST_HEAD:
            self._send_error_response(431, "")
            self._close_transport()
            return False
        return goes_on

    @property
    def _reads_a_head(self) -> bool:
        return self._body_receiver is None  # there is one from the end of a head to the response

    def _on_headers_complete(self) -> bool:
        self._head_has_begun = False
        at_most, self._head_size = self._head_size, 0  # a body may have come with it
        skips_body = bool(super()._on_headers_complete())
        if at_most > LARGEST_HEAD and _head_size(self._current_request) > LARGEST_HEAD:
            raise LimitRequestHeaders("The head is too large.")
        return skips_body

    def _keepalive_timeout(self) -> None:
        if self._head_has_begun and not self._closed:
            self._send_error_response(408, "")
        super()._keepalive_timeout()

    def _close_transport(self) -> None:
        """Close the connection, and give the client time to read the last response.

        Closing a socket with unread input resets the connection, and the client would lose a
        response that it has not read yet (RFC 9112, section 9.6).
        """
        transport, receiver = self.transport, self._body_receiver
        if transport is None or self._closed:
            return
        if self._lingers or (receiver is not None and not receiver._complete):
            self._closed = True
            transport.write_eof()
            self._resume_reading()
            self.worker.loop.call_later(LINGER, transport.abort)
            return
        super()._close_transport()
        if transport.get_write_buffer_size():
            self.worker.loop.call_later(WRITE_LIMIT, transport.abort)


def _head_size(request: Any) -> int:
    lines = sum([len(name) + len(value) + 4 for name, value in request.headers_bytes])
    return len(request.raw_path) + lines
