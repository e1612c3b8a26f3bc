"""Registrations that are refused in front of Flask: of a name that is known to be taken, and of any
that nobody has time to hash a password for.

Who attacks the registration page with names that exist, or races for one that somebody just got,
costs at most one look at the username cache; and refusing many leaves time for the others.
Whatever is not as plain as that goes on to Flask, which decides it from the beginning.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING

import msgspec
from werkzeug.exceptions import BadRequest

from service.accounts.registration import Registration
from service.errors import InvalidInput, TooManyHashes, UsernameTaken
from service.web.bodies import JSON, credentials_in, parsed_object
from service.web.problems import PROBLEM, problem

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PATH = "/api/v1/accounts"
# Flask has more to look at, and perhaps to refuse, if one of these is there.
PARTICULARS = (
    "HTTP_IDEMPOTENCY_KEY", "HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE", "HTTP_TRANSFER_ENCODING"
)  # fmt: skip


class Admission:
    """A WSGI application that refuses what is plainly in vain and leaves the rest to another."""

    def __init__(self, others: WSGIApplication, registration: Registration, max_body: int) -> None:
        """
        Args:
            others: the application behind it.
            registration: knows what it would refuse.
            max_body: bytes; longer ones are not read here.
        """
        self._others = others
        self._registration = registration
        self._max_body = max_body

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        refusal = self._refusal(environ) if environ["PATH_INFO"] == PATH else None
        if refusal is None:
            return self._others(environ, start_response)
        # A connection that always has a next request ready would keep the worker to itself.
        time.sleep(0)
        document = problem(refusal)
        body = msgspec.json.encode(document)
        headers = [("Content-Type", PROBLEM), ("Content-Length", str(len(body)))]
        if isinstance(refusal, TooManyHashes):
            headers.append(("Retry-After", str(refusal.retry_after)))
        start_response(f"{document['status']} {document['title']}", headers)
        return (body,)

    def _refusal(self, environ: WSGIEnvironment) -> UsernameTaken | TooManyHashes | None:
        length = environ.get("CONTENT_LENGTH", "")
        if (
            environ["REQUEST_METHOD"] != "POST"
            or environ.get("CONTENT_TYPE") != JSON
            or not length.isdecimal()
            or int(length) > self._max_body
            or any(name in environ for name in PARTICULARS)
        ):
            return None
        body = environ["wsgi.input"].read(int(length))
        environ["wsgi.input"] = BytesIO(body)
        try:
            sent = credentials_in(parsed_object(body))
        except (BadRequest, InvalidInput):
            return None
        return self._registration.refusal(sent.username, sent.password)
