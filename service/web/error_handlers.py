"""How Flask responds to errors: with a problem document for programs, a page for people."""

from __future__ import annotations

from typing import Any

import structlog
from flask import Flask, Response, render_template, request
from flask.globals import request_ctx
from werkzeug.exceptions import HTTPException

from service.errors import CoatcheckError
from service.logs import loggable
from service.web.answers import JSON, NO_STORE
from service.web.problems import PROBLEM, Problem, http_problem, problem_of

log = structlog.get_logger()

LONGEST_ACCEPT = 1024  # characters; browsers send fewer than 200


def register(app: Flask) -> None:
    """Have `app` respond to every error in this way."""
    app.register_error_handler(CoatcheckError, answer)
    app.register_error_handler(HTTPException, answer_http)
    app.log_exception = _log  # type: ignore[method-assign]


def answer(error: CoatcheckError) -> Response:
    """The response to an error of the service."""
    return _response(problem_of(error))


def answer_http(error: HTTPException) -> Response:
    """The response to an error of Flask, or to an unexpected one (500)."""
    detail = vars(error).get("description")  # from a view; Werkzeug's own are in the class
    headers = tuple(
        header
        for header in error.get_headers()
        if header[0] not in ("Content-Type", "Content-Length")
    )
    return _response(http_problem(error.code or 500, detail, headers))


def answer_unsaved(error: CoatcheckError, response: Response) -> None:
    """Turn a finished response into an error, because its session could not be saved."""
    replacement = answer(error)
    response.status = replacement.status
    response.set_data(replacement.get_data())
    response.headers.pop("Location", None)
    response.headers.pop("Set-Cookie", None)
    for name in ("Content-Type", "Retry-After"):
        if name in replacement.headers:
            response.headers[name] = replacement.headers[name]


def wants_page() -> bool:
    """Whether the client prefers a page, as browsers do."""
    if request.path.startswith("/api/") or len(request.headers.get("Accept", "")) > LONGEST_ACCEPT:
        return False
    if request_ctx.url_adapter is None:  # the Host is impossible, so a page could link to nothing
        return False
    offered = [PROBLEM, JSON, "text/html"]
    return request.accept_mimetypes.best_match(offered) == "text/html"


def _log(exc_info: Any) -> None:
    """Flask's own line contains the path as the client sent it."""
    log.error("request_failed", path=loggable(request.path), exc_info=exc_info)


def _response(problem: Problem) -> Response:
    if not wants_page():
        return problem.answer().response()
    page = render_template("layout/error.html", problem=problem)
    response = Response(page, problem.status, problem.headers)
    response.headers.setdefault(*NO_STORE)
    return response
