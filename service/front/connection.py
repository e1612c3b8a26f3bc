"""A client's connection: gunicorn's, with a bound on everything that a client can draw out."""
# mypy: allow-untyped-calls

from __future__ import annotations

import asyncio
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from gunicorn.asgi.parser import ParseError
from gunicorn.asgi.protocol import ASGIProtocol, _get_cached_date_header

from service.front.heads import check_coding, to_origin_form
from service.web.answers import Answer
from service.web.problems import http_problem
from service.web.security_headers import HEADERS

if TYPE_CHECKING:
    from service.front.worker import Worker

HEAD_LIMIT = 10.0  # seconds until the first request's head is there
WRITE_LIMIT = 10.0  # seconds that a response waits for a client that does not read
TINY, MOST_TINY = 256, 256  # bytes of a piece of a body; such pieces that may come at once
LINGER = 1.0  # seconds in which the client can read why its connection is closed

CONNECTION = "coatcheck.connection"  # this object, in the scope of a request

# gunicorn notes whether there is its C parser on the class that asks, and looks it up on its own.
ASGIProtocol._check_h1c_protocol_available()


class Connection(ASGIProtocol):  # type: ignore[misc]
    """One connection. It is closed when a head or a request does not come, or nobody reads."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        self._closed = False
        self._head_has_begun = False
        self._lingers = self._is_last = False
        self._tiny_chunks = 0
        # No client's word counts for the scheme or names with underscores: that is for ProxyFix.
        self._forwarded_trust: tuple[dict[str, str], list[str]] = ({}, [])
        self._secure_names: frozenset[bytes] = frozenset()
        self._stalled: asyncio.TimerHandle | None = None

    @property
    def is_gone(self) -> bool:
        """Whether the connection is closed."""
        return bool(self._closed)

    @property
    def has_whole_request(self) -> bool:
        """Whether the body of the request under way has arrived."""
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
        self._tiny_chunks = 0  # those that come at once take the loop's time
        super().data_received(data)

    def pause_writing(self) -> None:
        """Limit how long the client may go without reading."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.worker.loop.call_later(WRITE_LIMIT, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        if self._stalled:
            self._stalled.cancel()
            self._stalled = None

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the limits."""
        if self._stalled:
            self._stalled.cancel()
        self.worker.connections.discard(self)
        super().connection_lost(error)
        if self._flow_control:  # whatever waits for the client to read waits for nothing now
            self._flow_control.resume_writing()

    def close_if_idle(self) -> None:
        """Close the connection if no request is under way."""
        if self._awaiting_request and not self._head_has_begun:
            self._keepalive_timeout()

    def close_after_response(self) -> None:
        """Close the connection once the response under way is sent."""
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

    def _on_headers_complete(self) -> bool:
        self._head_has_begun = False
        skips_body = bool(super()._on_headers_complete())
        request = self._current_request
        if request.chunked:
            check_coding(request)
        if not request.path.startswith("/"):
            to_origin_form(request)
        return skips_body

    def _keepalive_timeout(self) -> None:
        if self._head_has_begun and not self._closed:
            self._send_error_response(408, "")
        super()._keepalive_timeout()

    def _send_error_response(
        self, status: int, _message: str, extra_headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        # The status says what is wrong; gunicorn's own message may quote the request.
        if self._closed:
            return
        problem = http_problem(status)
        answer = problem.answer()
        headers = (
            *answer.headers,
            *HEADERS,
            *extra_headers,
            ("Content-Length", str(len(answer.body))),
            ("Connection", "close"),
        )
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        self._safe_write(f"HTTP/1.1 {status} {answer.title}\r\n{head}\r\n".encode() + answer.body)
        self.worker.asgi.log.note("", "/", status, len(answer.body), 0.0, problem.detail)
        self._lingers = True

    def _close_transport(self) -> None:
        """Close the connection, and give the client time to read the rest.

        Closing a socket that has unread input resets the connection, and with it a response that
        the client has not read yet (RFC 9112, section 9.6).
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

    async def _serve_http_request(self, request: Any, sockname: Any, peername: Any) -> bool:
        """Answer the most frequent requests without a scope and a task for each, which cost as much
        as the rest of a session check; returns whether the connection may be kept."""
        started = time.monotonic()
        answering = None
        if request.version == (1, 1) and self.has_whole_request:
            pieces = self._body_receiver._chunks
            if len(pieces) <= 1:
                answering = self.worker.asgi.answer_at_once(
                    request.method,
                    request.path,
                    request.headers_bytes,
                    pieces[0] if pieces else b"",
                )
        if answering is None:
            return bool(await super()._serve_http_request(request, sockname, peername))
        try:
            answer: Answer = await answering
        except Exception:
            self.log.exception("A request to %s failed.", request.path)
            answer = http_problem(500).answer()
        closes = self._will_close(request, False)
        body = b"" if request.method == "HEAD" else answer.body
        self._safe_write(
            b"HTTP/1.1 %d %b\r\n" % (answer.status, answer.title.encode())
            + head_of(answer.headers)
            + _get_cached_date_header()
            + (b"Connection: close\r\n" if closes else b"")
            + b"Content-Length: %d\r\n\r\n" % len(answer.body)
            + body
        )
        seconds = time.monotonic() - started
        self.worker.asgi.log.note(request.method, request.path, answer.status, len(body), seconds)
        if self._flow_control.write_paused:
            await self._flow_control.drain()
        elif self._callback_parser.remaining():  # pipelined requests take turns with others'
            await asyncio.sleep(0)
        return not closes

    def _is_websocket_upgrade(self, request: Any) -> bool:  # noqa: ARG002
        return False  # nothing here speaks it; the request is served like any other

    def _build_http_scope(self, request: Any, sockname: Any, peername: Any) -> dict[str, Any]:
        scope: dict[str, Any] = super()._build_http_scope(request, sockname, peername)
        scope[CONNECTION] = self
        return scope


@lru_cache(maxsize=4096)  # those of a session that is checked again and again
def head_of(headers: tuple[tuple[str, str], ...]) -> bytes:
    """Headers as they travel, and those that every response carries."""
    lines = [f"{name}: {value}\r\n" for name, value in (*headers, *HEADERS)]
    return "".join(lines).encode("latin-1")
