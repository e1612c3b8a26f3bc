"""A response without any framework: the event loop sends it as it is, and Flask wraps it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from flask import Response

JSON = "application/json"
NO_STORE = ("Cache-Control", "no-store")
# The headers of every response that depends on who is signed in.
PRIVATE = (NO_STORE, ("Vary", "Cookie"))

TITLES = {status.value: status.phrase for status in HTTPStatus}

encode = msgspec.json.Encoder().encode

Headers = tuple[tuple[str, str], ...]


class Answer(NamedTuple):
    """Status, headers and body."""

    status: int
    headers: Headers
    body: bytes = b""

    @property
    def title(self) -> str:
        """The status in words."""
        return TITLES[self.status]

    def response(self) -> Response:
        """The answer as a response of Flask."""
        response = Response(self.body, self.status, self.headers)
        if not any(name == "Content-Type" for name, _ in self.headers):
            del response.headers["Content-Type"]  # Flask's default
        return response


def json_answer(status: int, document: Any, *headers: tuple[str, str]) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, (("Content-Type", JSON), *headers), encode(document))


def json_response(document: Any, status: int = 200) -> Response:
    """The same as a response of Flask: the JSON of an application's own views may be set up in
    another way."""
    return json_answer(status, document).response()
