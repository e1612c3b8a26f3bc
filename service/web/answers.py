"""A response before any framework: the event loop sends it as it is, and Flask wraps it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from flask import Response

from service.errors import CoatcheckError
from service.web.problems import PROBLEM, advice, http_problem, problem

JSON = "application/json"
# Of every response that depends on who is signed in.
PRIVATE = (("Cache-Control", "no-store"), ("Vary", "Cookie"))

encode = msgspec.json.Encoder().encode


class Answer(NamedTuple):
    """Status, headers and body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    @property
    def title(self) -> str:
        """The status in words."""
        return HTTPStatus(self.status).phrase

    def response(self) -> Response:
        """The same for Flask."""
        response = Response(self.body, self.status, self.headers)
        if not any(name == "Content-Type" for name, _ in self.headers):
            del response.headers["Content-Type"]  # which Flask makes up
        return response


def json_answer(status: int, document: Any, *headers: tuple[str, str]) -> Answer:
    """An answer in JSON."""
    return Answer(status, (("Content-Type", JSON), *headers), encode(document))


def problem_answer(error: CoatcheckError, *headers: tuple[str, str]) -> Answer:
    """The problem document (RFC 9457) of an error, with the headers that belong to it."""
    document = problem(error)
    return Answer(
        document["status"],
        (("Content-Type", PROBLEM), *advice(error), *headers),
        encode(document),
    )


def http_answer(status: int, detail: str, *headers: tuple[str, str]) -> Answer:
    """The problem document of a request that is wrong as HTTP."""
    document = http_problem(status, detail)
    return Answer(status, (("Content-Type", PROBLEM), *headers), encode(document))
