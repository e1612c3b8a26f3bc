"""Who is signed in, answered in front of Flask, whose routing, contexts and hooks would cost more
than the answer.

`/auth/verify` is for a proxy that asks it before every request of the applications behind it (nginx
auth_request, Traefik ForwardAuth, Caddy forward_auth); `/api/v1/sessions/current` for clients.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from service.errors import NotSignedIn, SessionStoreUnavailable
from service.sessions.ids import SessionId
from service.sessions.record import Owner, Record
from service.sessions.store import SessionStore
from service.web import security_headers
from service.web.problems import PROBLEM, problem
from service.web.shapes import signed_in_json

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

VERIFY, CURRENT = "/auth/verify", "/api/v1/sessions/current"
METHODS = ("GET", "HEAD")
PRIVATE = [("Cache-Control", "no-store"), ("Vary", "Cookie")]

OK = "200 OK"

Answer = tuple[str, list[tuple[str, str]], bytes]  # status, headers, body

_encode = msgspec.json.Encoder().encode


class Gate:
    """A WSGI application that says who is signed in and leaves everything else to another."""

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
        """Answer one request."""
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path not in (VERIFY, CURRENT) or method not in METHODS:
            return self._others(environ, start_response)
        answer = _introduction if path == VERIFY else _description
        try:
            status, headers, body = answer(*self._signed_in(environ))
        except (NotSignedIn, SessionStoreUnavailable) as error:
            status, headers, body = _refusal(error)
        if path == VERIFY:
            body = b""
        else:
            kind = "application/json" if status == OK else PROBLEM
            headers += [("Content-Type", kind), *security_headers.HEADERS]
        start_response(status, [*headers, ("Content-Length", str(len(body))), *PRIVATE])
        return (body,) if body and method == "GET" else ()

    def _signed_in(self, environ: WSGIEnvironment) -> tuple[Owner, Record]:
        session_id = SessionId.from_cookies(environ.get("HTTP_COOKIE", ""), self._cookie_name)
        record = self._store.read(session_id) if session_id else None
        if record is None or record.metadata.owner is None:
            raise NotSignedIn
        return record.metadata.owner, record


def _introduction(owner: Owner, record: Record) -> Answer:
    headers = [
        ("X-Auth-Account-Id", str(owner.account_id)),
        ("X-Auth-Username", _percent_encoded(owner.username)),
        ("X-Auth-Session", record.id.digest),
    ]
    return OK, headers, b""


def _description(owner: Owner, record: Record) -> Answer:
    return OK, [], _encode(signed_in_json(owner, record))


def _refusal(error: NotSignedIn | SessionStoreUnavailable) -> Answer:
    document = problem(error)
    headers = []
    if isinstance(error, SessionStoreUnavailable):
        headers.append(("Retry-After", str(error.retry_after)))
    return f"{document['status']} {document['title']}", headers, _encode(document)


@lru_cache(maxsize=4096)
def _percent_encoded(username: str) -> str:
    return quote(username, safe="")
