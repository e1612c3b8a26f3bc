"""The contenders in Python, except Django: two without a session, and two with one.

Those with a session keep the signed-in account in it, and return it as JSON.
"""

from __future__ import annotations

import os
import time
from typing import Any

from flask import Flask, request, session
from flask_session import Session
from redis import Redis

from service import create_app
from service.front.request_log import RequestLog
from service.web.security_headers import HEADERS

ACCOUNT = {"id": 1, "username": "ada", "created_at": "2026-01-01T00:00:00.000Z"}
VERIFIED = [
    (b"x-auth-account-id", b"1"),
    (b"x-auth-username", b"ada"),
    (b"x-auth-session", b"0" * 64),
    (b"content-length", b"0"),
    (b"cache-control", b"no-store"),
    (b"vary", b"Cookie"),
]


class Plain:
    """The response of `/auth/verify`, without reading anything, and a line in the request log."""

    def __init__(self) -> None:
        self.log = RequestLog()
        self.headers = HEADERS

    async def start(self) -> None:
        """Part of the front's interface."""

    async def close(self) -> None:
        """Part of the front's interface."""

    def answer_at_once(self, *_: Any) -> None:
        """Part of the front's interface: every request becomes an ASGI call."""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        started = time.monotonic()
        await send({"type": "http.response.start", "status": 200, "headers": VERIFIED})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        self.log.note(scope["method"], scope["path"], 200, 0, time.monotonic() - started)


plain = Plain


def bare_flask() -> Flask:
    """The same JSON as the others, without a session, and a JSON POST that is rejected."""
    app = Flask(__name__)
    _be_ready(app)

    @app.get("/me")
    def me() -> dict[str, Any]:
        return {"account": ACCOUNT}

    @app.post("/accounts")
    def accounts() -> tuple[dict[str, str], int]:
        return {"code": "username_taken", "detail": f"{request.json['username']} is taken."}, 409

    return app


def stock_flask_session() -> Flask:
    """Flask-Session with its defaults."""
    app = Flask(__name__)
    app.config.update(SESSION_TYPE="redis", SESSION_REDIS=Redis.from_url(os.environ["REDIS_URL"]))
    Session(app)
    _be_ready(app)
    return _with_views(app)


def coatcheck() -> Flask:
    """The service with a user's own views."""
    return _with_views(create_app())


def _with_views(app: Flask) -> Flask:
    @app.post("/sign-in")
    def sign_in() -> tuple[str, int]:
        session["account"] = request.json
        return "", 204

    @app.get("/me")
    def me() -> dict[str, Any]:
        return {"account": session["account"]}

    return app


def _be_ready(app: Flask) -> None:
    @app.get("/readyz")
    def readyz() -> dict[str, str]:
        return {"status": "ready"}
