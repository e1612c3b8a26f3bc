"""The ASGI application in front of Flask: what goes where."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import lru_cache
from typing import Any

import structlog
from flask import Flask

from service.errors import SessionStoreUnavailable, Unavailable
from service.front.bodies import (
    BodyTooLarge,
    BodyTooSlow,
    ClientGone,
    Headers,
    Receive,
    read_body,
)
from service.front.bridge import Exchange, Outcome, Scope, Send, environ_of, start_message
from service.front.connection import CONNECTION
from service.front.lanes import Lane
from service.front.registrations import PATH as REGISTER
from service.front.registrations import Registrations
from service.front.request_log import RequestLog
from service.sessions.ids import SessionId
from service.sessions.interface import PREREAD
from service.sessions.reader import SessionReader
from service.sessions.record import Record
from service.storage import lines
from service.web import who
from service.web.answers import Answer, http_answer, problem_answer
from service.web.bodies import LARGEST_BODY
from service.web.health import ALIVE, warn_of_eviction
from service.web.routes import Routes
from service.web.security_headers import HEADERS
from service.web.services import Services, services_of

log = structlog.get_logger()

READ = ("GET", "HEAD")
BODY_LIMIT = 20.0  # seconds until a body is there
# Beyond the hashes under way, so that the next one is ready when a hash is done.
PREPARING = 2


class Bridge:
    """Hands every request to a WSGI application in a thread, and logs it."""

    def __init__(self, application: Any, threads: int, longest_wait: float, max_body: int) -> None:
        """
        Args:
            application: for WSGI.
            threads: how many requests it serves at a time.
            longest_wait: seconds until a request's turn comes.
            max_body: bytes.
        """
        self.log = RequestLog()
        self._application = application
        self._threads, self._longest_wait = threads, longest_wait
        self._max_body = max_body

    async def start(self) -> None:
        """Start the threads."""
        self._loop = asyncio.get_running_loop()
        self._pages = Lane("pages", self._threads, self._longest_wait, holds_back=False)

    async def close(self) -> None:
        """End the threads, and write what is left of the log."""
        self._pages.close()
        self.log.flush()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = time.monotonic()  # the loop's own clock counts whole milliseconds
        try:
            answer = await self._answer_of(scope, receive, send)
            sent = await _send(scope, send, answer)
        except ClientGone:
            return
        seconds = time.monotonic() - started
        self.log.note(scope["method"], scope["path"], answer.status, sent, seconds)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> Answer | Outcome:
        """The response to a request."""
        body = await self._body_of(scope, receive)
        return await self.hand_over(self._pages, scope, body, send)

    def answer_at_once(
        self, method: str, path: str, headers: Headers, body: bytes
    ) -> Coroutine[Any, Any, Answer] | None:
        """None: every request goes to the application."""
        del method, path, headers, body
        return None

    async def hand_over(
        self, lane: Lane, scope: Scope, body: bytes, send: Send, **extra: Any
    ) -> Outcome:
        """What the application responds, in a thread of `lane`; `extra` goes into its environ.

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

    async def _answer_of(self, scope: Scope, receive: Receive, send: Send) -> Answer | Outcome:
        if scope["http_version"] == "1.1" and not _has_host(scope["headers"]):
            return http_answer(400, "The request has no Host header.")
        try:
            return await self.answer(scope, receive, send)
        except BodyTooLarge as error:
            return _last(scope, http_answer(413, str(error)))
        except BodyTooSlow as error:
            return _last(scope, http_answer(408, str(error)))
        except Unavailable as error:
            return problem_answer(error)
        except (ClientGone, asyncio.CancelledError):
            raise ClientGone from None
        except Exception:
            log.exception("request_failed", path=scope["path"])
            return http_answer(500, "Something went wrong.")


class Front(Bridge):
    """Answers what needs no Flask, and hands everything else to Flask in a thread."""

    def __init__(self, application: Flask) -> None:
        """
        Args:
            application: what `create_app` returned, with any routes that were added to it.
        """
        self._services: Services = services_of(application)
        serving = self._services.serving
        max_body = max(application.config["MAX_CONTENT_LENGTH"] or 0, LARGEST_BODY)
        super().__init__(application, serving.threads, serving.thread_wait, max_body)
        self._routes = Routes(application)
        self._cookie = serving.cookie_name
        self._ways: dict[str, Callable[[Headers], Coroutine[Any, Any, Answer]]] = {
            who.VERIFY: self._introduce,
            who.CURRENT: self._describe,
            "/healthz": self._live,
        }

    async def start(self) -> None:
        """Start the threads and what talks to Redis."""
        await super().start()
        services, serving, application = self._services, self._services.serving, self._application
        self._passwords = Lane(
            "passwords",
            serving.hashing_threads + PREPARING,
            serving.hashing_wait,
            holds_back=True,
        )
        await self._passwords.run(lambda: warn_of_eviction(application))
        self._lookups = Lane("lookups", 1, serving.thread_wait, holds_back=False)
        self._reader = SessionReader(lines.connect(serving.redis_url), services.session_rules)
        self._registrations = Registrations(
            services.username_cache,
            lines.connect(serving.cache_redis_url),
            services.accounts,
            self._lookups,
            self._passwords,
        )

    async def close(self) -> None:
        """Close what `start` opened, and the application's own connections."""
        self._passwords.close()
        self._lookups.close()
        await self._reader.close()
        await self._registrations.close()
        await super().close()
        self._services.close()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> Answer | Outcome:
        """The response to a request."""
        method, path = scope["method"], scope["path"]
        if way := self._way(method, path, scope["headers"]):
            return await way(scope["headers"])
        body = await self._body_of(scope, receive)
        if self._routes.is_for_passwords(method, path):

            async def proceed() -> Outcome:
                return await self.hand_over(self._passwords, scope, body, send)

            if path == REGISTER:
                return await self._registrations.answer(scope["headers"], body, proceed)
            return await proceed()
        extra = {}
        session_id = (
            self._session_id(scope["headers"]) if self._routes.may_use_the_session(path) else None
        )
        if session_id:
            extra[PREREAD] = await self._preread(session_id)
        return await self.hand_over(self._pages, scope, body, send, **extra)

    def answer_at_once(
        self, method: str, path: str, headers: Headers, body: bytes
    ) -> Coroutine[Any, Any, Answer] | None:
        """The response to one of the most frequent requests, to be awaited; None if it is none."""
        if path == REGISTER and method == "POST" and _has_host(headers):
            if taken := self._registrations.remembered(headers, body):
                return _immediate(taken)
            return None
        way = None if body else self._way(method, path, headers)
        return way(headers) if way else None

    def _way(
        self, method: str, path: str, headers: Headers
    ) -> Callable[[Headers], Coroutine[Any, Any, Answer]] | None:
        return self._ways.get(path) if method in READ and _has_host(headers) else None

    async def _introduce(self, headers: Headers) -> Answer:
        try:
            return who.introduction(await self._record(headers))
        except SessionStoreUnavailable as error:
            return who.unknown(who.VERIFY, error)

    async def _describe(self, headers: Headers) -> Answer:
        try:
            return who.description(await self._record(headers))
        except SessionStoreUnavailable as error:
            return who.unknown(who.CURRENT, error)

    async def _live(self, _: Headers) -> Answer:
        return ALIVE

    async def _record(self, headers: Headers) -> Record | None:
        session_id = self._session_id(headers)
        return await self._reader.read(session_id) if session_id else None

    async def _preread(self, session_id: SessionId) -> Callable[[], Record | None]:
        """The session, read; what went wrong is raised when a view first looks at it."""
        try:
            record = await self._reader.read(session_id)
        except SessionStoreUnavailable as error:
            unavailable = error

            def fail() -> Record | None:
                raise unavailable

            return fail
        return lambda: record

    def _session_id(self, headers: Headers) -> SessionId | None:
        cookies = [value for name, value in headers if name == b"cookie"]
        if not cookies:
            return None
        return SessionId.from_cookies(b"; ".join(cookies).decode("latin-1"), self._cookie)


async def _immediate(answer: Answer) -> Answer:
    return answer


async def _send(scope: Scope, send: Send, answer: Answer | Outcome) -> int:
    """Send a response, and return how many bytes its body has."""
    if isinstance(answer, Outcome):
        if answer.was_streamed:
            return answer.sent
        headers, body = answer.headers, answer.body
    else:
        headers = [*_raw(answer.headers), *_HEADERS]
        headers.append((b"content-length", b"%d" % len(answer.body)))
        body = b"" if scope["method"] == "HEAD" else answer.body
    await send(start_message(answer.status, headers))
    await send({"type": "http.response.body", "body": body, "more_body": False})
    return len(body)


@lru_cache(maxsize=4096)  # those of a session that is checked again and again
def _raw(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.lower().encode(), value.encode("latin-1")) for name, value in headers)


def _last(scope: Scope, answer: Answer) -> Answer:
    """Have the connection closed after the answer: the rest of the request may still arrive."""
    if connection := scope.get(CONNECTION):
        connection.close_after_response()
    return answer


def _has_host(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"host" for name, _ in headers)


_HEADERS = _raw(HEADERS)
