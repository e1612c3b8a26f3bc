"""The ASGI application in front of Flask with sessions alone: it reads them on the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask

from service.errors import SessionStoreUnavailable
from service.front.asgi import RawHeaders, Receive, Scope, Send
from service.front.bridge import Bridge
from service.front.wsgi import WsgiResponse
from service.sessions.ids import SessionId
from service.sessions.interface import PREREAD
from service.sessions.reader import SessionReader
from service.sessions.record import Record
from service.storage import lines
from service.web.answers import Answer
from service.web.bodies import LARGEST_BODY
from service.web.health import warn_of_eviction
from service.web.routes import Routes
from service.web.services import session_services_of

# Bytes of a body if the application does not set MAX_CONTENT_LENGTH: each waits in memory.
MAX_BODY = 16 * 1024 * 1024


class SessionFront(Bridge):
    """Hands every request to Flask in a thread, with its session."""

    def __init__(self, application: Flask) -> None:
        """
        Args:
            application: has sessions.
        """
        self._sessions = session_services_of(application)
        serving = self._sessions.serving
        max_body = max(application.config["MAX_CONTENT_LENGTH"] or MAX_BODY, LARGEST_BODY)
        super().__init__(
            application, serving.threads, serving.thread_wait, max_body, serving.headers
        )
        self._views = Routes(application)
        self._cookie = application.config["SESSION_COOKIE_NAME"]

    async def start(self) -> None:
        """Start the threads, and set up the client of Redis."""
        await super().start()
        application = self._application
        await self._page_lane.run(lambda: warn_of_eviction(application))
        line = lines.connect(self._sessions.serving.redis_url)
        self._reader = SessionReader(line, self._sessions.session_rules)

    async def close(self) -> None:
        """Close what `start` opened, and the application's own connections."""
        await self._reader.close()
        await super().close()
        self._sessions.close()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> Answer | WsgiResponse:
        """The response to a request."""
        return await self.hand_over_with_session(scope, await self._body_of(scope, receive), send)

    async def hand_over_with_session(
        self, scope: Scope, body: bytes, send: Send, **extra: Any
    ) -> WsgiResponse:
        """Call the application in a thread for pages, with `extra` and its session in the environ.

        Raises:
            Busy: no thread became free in time.
        """
        reads = scope["method"] != "OPTIONS" and self._views.may_use_the_session(scope["path"])
        if reads and (session_id := self._session_id(scope["headers"])):
            extra[PREREAD] = await self._preread(session_id)
        return await self.hand_over(self._page_lane, scope, body, send, **extra)

    async def _preread(self, session_id: SessionId) -> Callable[[], Record | None]:
        """Read the session; if that fails, a view gets the error when it first uses the session."""
        try:
            record = await self._reader.read(session_id)
        except SessionStoreUnavailable as error:
            unavailable = error

            def fail() -> Record | None:
                raise unavailable

            return fail
        return lambda: record

    def _session_id(self, headers: RawHeaders) -> SessionId | None:
        cookies = [value for name, value in headers if name == b"cookie"]
        if not cookies:
            return None
        return SessionId.from_cookies(b"; ".join(cookies).decode("latin-1"), self._cookie)
