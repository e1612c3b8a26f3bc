"""The ASGI application in front of Flask with accounts, which routes every request."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from flask import Flask

from service.accounts import known_devices
from service.errors import SessionStoreUnavailable
from service.front.asgi import RawHeaders, Receive, Scope, Send
from service.front.bridge import has_host
from service.front.lanes import Lane
from service.front.registrations import PATH as REGISTER
from service.front.registrations import Registrations
from service.front.sessions import SessionFront
from service.front.simple_registration import names_its_origin
from service.front.throttle import LoopThrottle
from service.front.wsgi import WsgiResponse
from service.sessions.ids import cookie
from service.sessions.record import Record
from service.storage import lines
from service.throttling.table import Limited
from service.web import who
from service.web.answers import Answer
from service.web.current import CHARGED
from service.web.health import ALIVE, ALIVE_PATH
from service.web.services import services_of

READ = ("GET", "HEAD")
PREPARING = 2  # more threads than hashes, so that the next hash is ready when one is done


class _Throttled(NamedTuple):
    """What the loop has done about the limit of a request."""

    refusal: Answer | None = None
    is_charged: bool = False  # or Redis did not answer, and nobody need ask it again


class Front(SessionFront):
    """Answers what needs no Flask, and hands everything else to Flask in a thread."""

    def __init__(self, application: Flask) -> None:
        """
        Args:
            application: has accounts, and perhaps routes of its own, which may replace ours.
        """
        super().__init__(application)
        self._services = services_of(application)
        answers = {
            who.VERIFY: self._verify,
            who.CURRENT: self._current_session,
            ALIVE_PATH: self._healthz,
        }
        self._routes: dict[str, Callable[[RawHeaders], Coroutine[Any, Any, Answer]]] = {
            path: route for path, route in answers.items() if self._views.are_ours("GET", path)
        }
        self._registers = self._views.are_ours("POST", REGISTER)

    async def start(self) -> None:
        """Also start the threads for passwords and for names."""
        await super().start()
        services, serving = self._services, self._services.serving
        self._password_lane = Lane(
            "passwords", serving.hashing_threads + PREPARING, serving.hashing_wait, holds_back=True
        )
        self._lookup_lane = Lane("lookups", 1, serving.thread_wait, holds_back=False)
        self._throttle = LoopThrottle(
            lines.connect(serving.redis_url),
            services.throttle.rules,
            services.throttle.outages,
            serving.trusted_proxies,
        )
        self._registrations = Registrations(
            services.username_cache,
            lines.connect(serving.cache_redis_url),
            services.accounts,
            self._lookup_lane,
            self._password_lane,
            services.password_policy,
        )
        services.chore.start()

    async def close(self) -> None:
        """Close what `start` opened, and the application's own connections."""
        self._password_lane.close()
        self._lookup_lane.close()
        await self._throttle.close()
        await self._registrations.close()
        await super().close()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> Answer | WsgiResponse:
        """The response to a request."""
        method, path = scope["method"], scope["path"]
        if route := self._route(method, path, scope["headers"]):
            return await route(scope["headers"])
        body = await self._body_of(scope, receive)
        throttled = await self._throttled(method, path, scope)
        if throttled.refusal:
            return throttled.refusal
        extra: dict[str, Any] = {CHARGED: True} if throttled.is_charged else {}
        if self._views.is_for_passwords(method, path):
            registers = self._registers and path == REGISTER

            async def proceed() -> WsgiResponse:
                return await self.hand_over(self._password_lane, scope, body, send, **extra)

            if registers:
                return await self._registrations.answer(scope["headers"], body, proceed)
            return await proceed()
        return await self.hand_over_with_session(scope, body, send, **extra)

    def answer_at_once(
        self, method: str, path: str, headers: RawHeaders, body: bytes, peer: Any
    ) -> Coroutine[Any, Any, Answer] | None:
        """A coroutine that answers the request if it is one of the most frequent; otherwise
        None."""
        if path == REGISTER and self._registers and method == "POST" and has_host(headers):
            return self._rejection(headers, body, peer)
        route = None if body else self._route(method, path, headers)
        return route(headers) if route else None

    def _route(
        self, method: str, path: str, headers: RawHeaders
    ) -> Callable[[RawHeaders], Coroutine[Any, Any, Answer]] | None:
        route = self._routes.get(path)
        return route if route and method in READ and has_host(headers) else None

    async def _throttled(self, method: str, path: str, scope: Scope) -> _Throttled:
        """Refuse a request whose network has used up a limit, as far as the loop knows. It charges
        registrations of programs, because it answers most of them. Flask charges everything else,
        after its check that no other site made a browser send it."""
        limit = self._views.limit_of(method, path) if self._throttle.is_on else None
        if limit is None:
            return _Throttled()
        peer, headers = scope.get("client"), scope["headers"]
        if limit is Limited.REGISTRATION and not names_its_origin(headers):
            return _Throttled(await self._throttle.charge(limit, peer, headers), is_charged=True)
        # Strangers in the same network cannot use up what a known device has.
        may_be_excepted = limit is Limited.LOGIN and self._sends_a_mark(headers)
        return _Throttled(self._throttle.refusal(limit, peer, headers, may_be_excepted))

    def _rejection(
        self, headers: RawHeaders, body: bytes, peer: Any
    ) -> Coroutine[Any, Any, Answer] | None:
        if not self._throttle.is_on:
            reject = self._registrations.rejection(headers, body)
            return reject() if reject else None
        if refusal := self._throttle.refusal(Limited.REGISTRATION, peer, headers):
            return _ready(refusal)
        reject = self._registrations.rejection(headers, body)
        if reject is None:
            return None

        async def charged() -> Answer:
            refusal = await self._throttle.charge(Limited.REGISTRATION, peer, headers)
            return refusal or await reject()

        return charged()

    def _sends_a_mark(self, headers: RawHeaders) -> bool:
        cookies = b"; ".join([value for name, value in headers if name == b"cookie"])
        value = cookie(cookies.decode("latin-1"), self._services.serving.device_cookie_name)
        return bool(known_devices.parse(value or ""))

    async def _verify(self, headers: RawHeaders) -> Answer:
        try:
            return who.verify_answer(await self._record(headers))
        except SessionStoreUnavailable as error:
            return who.unavailable_answer(who.VERIFY, error)

    async def _current_session(self, headers: RawHeaders) -> Answer:
        try:
            return who.current_session_answer(await self._record(headers))
        except SessionStoreUnavailable as error:
            return who.unavailable_answer(who.CURRENT, error)

    async def _healthz(self, _: RawHeaders) -> Answer:
        return ALIVE

    async def _record(self, headers: RawHeaders) -> Record | None:
        session_id = self._session_id(headers)
        return await self._reader.read(session_id) if session_id else None


async def _ready(answer: Answer) -> Answer:
    return answer
