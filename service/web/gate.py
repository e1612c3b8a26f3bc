"""`/auth/verify`: who is signed in, for a proxy that asks it before every request of the
applications behind it (nginx auth_request, Traefik ForwardAuth, Caddy forward_auth).

It stands in front of Flask, whose routing, contexts and hooks would cost more than the answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from service.errors import SessionStoreUnavailable
from service.sessions.ids import SessionId
from service.sessions.store import SessionStore

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PATH = "/auth/verify"
METHODS = ("GET", "HEAD")
COMMON = [("Content-Length", "0"), ("Cache-Control", "no-store"), ("Vary", "Cookie")]


class Gate:
    """A WSGI application that answers `/auth/verify` and leaves everything else to another."""

    def __init__(self, others: WSGIApplication, store: SessionStore, cookie_name: str) -> None:
        """
        Args:
            others: the application behind it.
            store: where sessions are kept.
            cookie_name: of the cookie that holds the session's id.
        """
        self._others = others
        self._store = store
        self._cookie_name = cookie_name

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; without a body, if it is for the gate."""
        if environ["PATH_INFO"] != PATH:
            return self._others(environ, start_response)
        status, headers = self._verify(environ)
        start_response(status, headers + COMMON)
        return ()

    def _verify(self, environ: WSGIEnvironment) -> tuple[str, list[tuple[str, str]]]:
        if environ["REQUEST_METHOD"] not in METHODS:
            return "405 Method Not Allowed", [("Allow", ", ".join(METHODS))]
        session_id = SessionId.from_cookies(environ.get("HTTP_COOKIE", ""), self._cookie_name)
        if session_id is None:
            return "401 Unauthorized", []
        try:
            record = self._store.read(session_id)
        except SessionStoreUnavailable as error:
            return "503 Service Unavailable", [("Retry-After", str(error.retry_after))]
        if record is None or (owner := record.metadata.owner) is None:
            return "401 Unauthorized", []
        return "200 OK", [
            ("X-Auth-Account-Id", str(owner.account_id)),
            ("X-Auth-Username", _percent_encoded(owner.username)),
            ("X-Auth-Session", record.id.digest),
        ]


@lru_cache(maxsize=4096)
def _percent_encoded(username: str) -> str:
    return quote(username, safe="")
