"""Errors to responses: problem details (RFC 9457) for programs, a page for people."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException

from service import errors
from service.errors import CoatcheckError, InvalidInput, Unavailable

PROBLEM = "application/problem+json"

ANSWERS: dict[type[CoatcheckError], tuple[int, str]] = {
    errors.InvalidInput: (422, "invalid"),
    errors.UsernameTaken: (409, "username_taken"),
    errors.InvalidCredentials: (401, "invalid_credentials"),
    errors.SessionRevoked: (401, "invalid_credentials"),
    errors.NotSignedIn: (401, "not_signed_in"),
    errors.NoSuchAccount: (401, "not_signed_in"),  # of a session that outlived its account
    errors.WrongPassword: (403, "wrong_password"),
    errors.NoSuchSession: (404, "not_found"),
    errors.SessionTooLarge: (413, "too_large"),
    errors.CrossSite: (403, "cross_site"),
}
CODES = {
    400: "malformed",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}


def register(app: Flask) -> None:
    """Answer every error of `app`."""
    app.register_error_handler(CoatcheckError, answer)
    app.register_error_handler(HTTPException, answer_http)


def status_of(error: CoatcheckError) -> int:
    """The HTTP status that says what `error` says."""
    return 503 if isinstance(error, Unavailable) else ANSWERS[type(error)][0]


def problem(error: CoatcheckError) -> dict[str, Any]:
    """The problem document of an error of the domain."""
    more: dict[str, Any] = {}
    if isinstance(error, InvalidInput):
        more["errors"] = [
            {"field": each.field, "code": each.code, "message": each.message}
            for each in error.errors
        ]
    code = "unavailable" if isinstance(error, Unavailable) else ANSWERS[type(error)][1]
    return _problem(status_of(error), code, str(error)) | more


def answer(error: CoatcheckError) -> Response:
    """The response to an error of the domain."""
    response = _response(problem(error))
    response.headers.extend(advice(error))
    return response


def advice(error: CoatcheckError) -> tuple[tuple[str, str], ...]:
    """The headers that say what a client can do about an error."""
    if isinstance(error, errors.RegistrationUnresolved):
        return (("Retry-After", str(error.retry_after)), ("Idempotency-Key", error.idempotency_key))
    if isinstance(error, Unavailable):
        return (("Retry-After", str(error.retry_after)),)
    return ()


def answer_http(error: HTTPException) -> Response:
    """The response to an error of HTTP, or to one that nobody foresaw (500)."""
    status = error.code or 500
    response = _response(http_problem(status, error.description or HTTPStatus(status).phrase))
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def answer_unsaved(error: CoatcheckError, response: Response) -> None:
    """Make of a finished response the one that says that its session could not be saved."""
    replacement = answer(error)
    response.status = replacement.status
    response.set_data(replacement.get_data())
    response.headers.pop("Location", None)
    response.headers.pop("Set-Cookie", None)
    for name in ("Content-Type", "Retry-After"):
        if name in replacement.headers:
            response.headers[name] = replacement.headers[name]


def http_problem(status: int, detail: str) -> dict[str, Any]:
    """The problem document of an error of HTTP."""
    code = CODES.get(status, "internal" if status >= 500 else "refused")
    return _problem(status, code, detail)


def wants_page() -> bool:
    """Whether the client is a person's browser, looking for a page."""
    offered = [PROBLEM, "application/json", "text/html"]
    return (
        not request.path.startswith("/api/")
        and request.accept_mimetypes.best_match(offered) == "text/html"
    )


def _problem(status: int, code: str, detail: str) -> dict[str, Any]:
    return {
        "type": f"urn:coatcheck:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }


def _response(problem: dict[str, Any]) -> Response:
    if wants_page():
        page = render_template("error.html", **problem)
        return Response(page, problem["status"], mimetype="text/html")
    body = msgspec.json.encode(problem)
    return Response(body, problem["status"], content_type=PROBLEM)
