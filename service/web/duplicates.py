"""Registrations of names that are known to be taken, turned away in front of Flask.

Who attacks the registration page with names that exist, or races for one that somebody just got,
costs one look at the username cache and no more. Whatever is not as plain as that goes on to Flask,
which decides it from the beginning.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING

from werkzeug.exceptions import BadRequest

from service.accounts.registration import Registration
from service.errors import InvalidInput, UsernameTaken
from service.web.bodies import JSON, credentials_in, parsed_object
from service.web.problems import PROBLEM, problem

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PATH = "/api/v1/accounts"
STATUS = "409 Conflict"
BODY = json.dumps(problem(UsernameTaken())).encode()
HEADERS = [("Content-Type", PROBLEM), ("Content-Length", str(len(BODY)))]
# Flask has more to look at, and perhaps to refuse, if one of these is there.
PARTICULARS = (
    "HTTP_IDEMPOTENCY_KEY", "HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE", "HTTP_TRANSFER_ENCODING"
)  # fmt: skip


class Duplicates:
    """A WSGI application that answers 409 to plain duplicates and leaves the rest to another."""

    def __init__(self, others: WSGIApplication, registration: Registration, max_body: int) -> None:
        """
        Args:
            others: the application behind it.
            registration: knows which names are taken.
            max_body: bytes; longer ones are not read here.
        """
        self._others = others
        self._registration = registration
        self._max_body = max_body

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ["PATH_INFO"] == PATH and self._is_duplicate(environ):
            start_response(STATUS, list(HEADERS))
            return (BODY,)
        return self._others(environ, start_response)

    def _is_duplicate(self, environ: WSGIEnvironment) -> bool:
        length = environ.get("CONTENT_LENGTH", "")
        if (
            environ["REQUEST_METHOD"] != "POST"
            or environ.get("CONTENT_TYPE") != JSON
            or not length.isdecimal()
            or int(length) > self._max_body
            or any(name in environ for name in PARTICULARS)
        ):
            return False
        body = environ["wsgi.input"].read(int(length))
        environ["wsgi.input"] = BytesIO(body)
        try:
            sent = credentials_in(parsed_object(body))
        except (BadRequest, InvalidInput):
            return False
        return self._registration.is_known_duplicate(sent.username, sent.password)
