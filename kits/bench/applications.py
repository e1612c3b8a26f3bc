"""The contenders on WSGI, except Django: two without a session, as upper limits, and two with one.

Those with a session keep the signed-in account in it, and return it as JSON.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from flask import Flask, request, session
from flask_session import Session
from redis import Redis

from service import create_app

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ACCOUNT = {"id": 1, "username": "ada", "created_at": "2026-01-01T00:00:00.000Z"}
VERIFIED = [
    ("X-Auth-Account-Id", "1"),
    ("X-Auth-Username", "ada"),
    ("X-Auth-Session", "0" * 64),
    ("Content-Length", "0"),
    ("Cache-Control", "no-store"),
    ("Vary", "Cookie"),
]


def plain() -> WSGIApplication:
    """The response of `/auth/verify`, without reading anything."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", list(VERIFIED))
        return ()

    return answer


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
