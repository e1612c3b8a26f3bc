"""A client's connection, which answers errors and the most frequent requests by itself."""
# mypy: allow-untyped-calls

from __future__ import annotations

import asyncio
import time
from functools import lru_cache
from typing import Any

from gunicorn.asgi.protocol import _get_cached_date_header

from service.front.heads import check_coding, to_origin_form
from service.front.limited_connection import LimitedConnection
from service.logs import loggable
from service.web.answers import TITLES, Answer, Headers
from service.web.problems import http_problem

CONNECTION = "coatcheck.connection"  # the key of this object in the scope of a request


class Connection(LimitedConnection):
    """Serves one request after another."""

    def _on_headers_complete(self) -> bool:
        skips_body = bool(super()._on_headers_complete())
        request = self._current_request
        if request.chunked:
            check_coding(request)
        if not request.path.startswith("/"):
            to_origin_form(request)
        return skips_body

    def _send_error_response(
        self, status: int, _message: str, extra_headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        # gunicorn's own message may quote the request, so the status alone says what is wrong.
        if self._closed:
            return
        problem = http_problem(status)
        answer = problem.answer(*extra_headers)
        self._safe_write(
            head_of(status, answer.headers)
            + self.worker.constant_lines
            + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(answer.body)
            + answer.body
        )
        self.worker.asgi.log.note("", "/", status, len(answer.body), 0.0, problem.detail)
        self._lingers = True

    async def _serve_http_request(self, request: Any, sockname: Any, peername: Any) -> bool:
        """Answer the most frequent requests without a scope and a task for each, which would be
        most of the cost of a session check; returns whether the connection may stay open."""
        started = time.monotonic()
        answering = None
        if request.version == (1, 1) and self.has_whole_request:
            pieces = self._body_receiver._chunks
            if len(pieces) <= 1:
                body = pieces[0] if pieces else b""
                answering = self.worker.asgi.answer_at_once(
                    request.method, request.path, request.headers_bytes, body, peername
                )
        if answering is None:
            return bool(await super()._serve_http_request(request, sockname, peername))
        try:
            answer: Answer = await answering
        except Exception:
            self.log.exception("A request to %s failed.", loggable(request.path))
            answer = http_problem(500).answer()
        closes = self._will_close(request, False)
        body = b"" if request.method == "HEAD" else answer.body
        self._safe_write(
            head_of(answer.status, answer.headers)
            + self.worker.constant_lines
            + _get_cached_date_header()
            + (b"Connection: close\r\n" if closes else b"")
            + b"Content-Length: %d\r\n\r\n" % len(answer.body)
            + body
        )
        seconds = time.monotonic() - started
        self.worker.asgi.log.note(request.method, request.path, answer.status, len(body), seconds)
        if self._flow_control.write_paused:
            await self._flow_control.drain()
        elif self._callback_parser.remaining():  # let others take turns with pipelined requests
            await asyncio.sleep(0)
        return not closes

    def _is_websocket_upgrade(self, request: Any) -> bool:  # noqa: ARG002
        return False  # the service has no WebSockets, and serves the request like any other

    def _build_http_scope(self, request: Any, sockname: Any, peername: Any) -> dict[str, Any]:
        scope: dict[str, Any] = super()._build_http_scope(request, sockname, peername)
        scope[CONNECTION] = self
        return scope


@lru_cache(maxsize=4096)  # one entry for each session that is checked again and again
def head_of(status: int, headers: Headers) -> bytes:
    """The start of a response: its status and its own headers."""
    return f"HTTP/1.1 {status} {TITLES[status]}\r\n".encode() + lines_of(headers)


def lines_of(headers: Headers) -> bytes:
    """Headers as they are sent."""
    return "".join([f"{name}: {value}\r\n" for name, value in headers]).encode("latin-1")
