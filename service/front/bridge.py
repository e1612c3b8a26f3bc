"""Carries every request from an event loop to a WSGI application in threads, and back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from functools import lru_cache
from typing import Any

import structlog

from service.errors import BodyTooLarge, BodyTooSlow, NoHost, Unavailable
from service.front.asgi import ClientGone, RawHeaders, Receive, Scope, Send
from service.front.bodies import read_body
from service.front.connection import CONNECTION
from service.front.lanes import Lane
from service.front.request_log import RequestLog
from service.front.wsgi import Exchange, WsgiResponse, environ_of, start_message
from service.logs import loggable
from service.web.answers import Answer, Headers
from service.web.problems import http_problem, problem_of
from service.web.security_headers import HEADERS

log = structlog.get_logger()

BODY_LIMIT = 20.0  # seconds for a body to arrive


class Bridge:
    """Hands every request to the application in a thread, and logs it."""

    def __init__(
        self,
        application: Any,
        threads: int,
        longest_wait: float,
        max_body: int,
        headers: Headers = HEADERS,
    ) -> None:
        """
        Args:
            application: a WSGI application.
            threads: how many requests it serves at a time.
            longest_wait: seconds that a request may wait for a thread.
            max_body: bytes.
            headers: of every response that does not come from the application.
        """
        self.log = RequestLog()
        self.headers, self._raw_headers = headers, _raw(headers)
        self._application = application
        self._threads, self._longest_wait = threads, longest_wait
        self._max_body = max_body

    async def start(self) -> None:
        """Start the threads."""
        self._loop = asyncio.get_running_loop()
        self._page_lane = Lane("pages", self._threads, self._longest_wait, holds_back=False)

    async def close(self) -> None:
        """End the threads, and write the rest of the log."""
        self._page_lane.close()
        self.log.flush()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = time.monotonic()  # the loop's clock only counts whole milliseconds
        try:
            answer = await self._answer_or_problem(scope, receive, send)
            sent = await self._send(scope, send, answer)
        except ClientGone:
            return
        seconds = time.monotonic() - started
        self.log.note(scope["method"], scope["path"], answer.status, sent, seconds)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> Answer | WsgiResponse:
        """The response to a request."""
        body = await self._body_of(scope, receive)
        return await self.hand_over(self._page_lane, scope, body, send)

    def answer_at_once(
        self, method: str, path: str, headers: RawHeaders, body: bytes, peer: Any
    ) -> Coroutine[Any, Any, Answer] | None:
        """None: every request goes to the application."""
        del method, path, headers, body, peer
        return None

    async def hand_over(
        self, lane: Lane, scope: Scope, body: bytes, send: Send, **extra: Any
    ) -> WsgiResponse:
        """Call the application in a thread of `lane`, with `extra` added to its environ.

        Raises:
            Busy: no thread became free in time.
        """
        environ = environ_of(scope, body)
        environ.update(extra)
        connection = scope.get(CONNECTION)

        def is_wanted() -> bool:
            return connection is None or not connection.is_gone

        exchange = Exchange(self._application, environ, send, self._loop, is_wanted)
        return await lane.run(exchange.carry_out, is_wanted)

    async def _body_of(self, scope: Scope, receive: Receive) -> bytes:
        connection = scope.get(CONNECTION)
        has_arrived = connection is not None and connection.has_whole_request
        return await read_body(receive, scope["headers"], self._max_body, BODY_LIMIT, has_arrived)

    async def _answer_or_problem(
        self, scope: Scope, receive: Receive, send: Send
    ) -> Answer | WsgiResponse:
        if scope["http_version"] == "1.1" and not has_host(scope["headers"]):
            return problem_of(NoHost()).answer()
        try:
            return await self.answer(scope, receive, send)
        except (BodyTooLarge, BodyTooSlow) as error:
            if connection := scope.get(CONNECTION):  # the rest of the request may still arrive
                connection.close_after_response()
            return problem_of(error).answer()
        except Unavailable as error:
            return problem_of(error).answer()
        except (ClientGone, asyncio.CancelledError):
            raise ClientGone from None
        except Exception:
            log.exception("request_failed", path=loggable(scope["path"]))
            return http_problem(500).answer()

    async def _send(self, scope: Scope, send: Send, answer: Answer | WsgiResponse) -> int:
        """Send a response; returns how many bytes its body has."""
        if isinstance(answer, WsgiResponse):
            if answer.was_streamed:
                return answer.sent
            headers, body = answer.headers, answer.body
        else:
            headers = [*_raw(answer.headers), *self._raw_headers]
            headers.append((b"content-length", b"%d" % len(answer.body)))
            body = b"" if scope["method"] == "HEAD" else answer.body
        await send(start_message(answer.status, headers))
        await send({"type": "http.response.body", "body": body, "more_body": False})
        return len(body)


@lru_cache(maxsize=4096)  # one entry for each session that is checked again and again
def _raw(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.lower().encode(), value.encode("latin-1")) for name, value in headers)


def has_host(headers: RawHeaders) -> bool:
    """Whether the request names its host."""
    return b"host" in [name for name, _ in headers]
