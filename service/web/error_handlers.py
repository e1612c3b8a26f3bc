"""Errors in Flask: a problem document for programs, a page for people."""

from __future__ import annotations

from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException

from service.errors import CoatcheckError
from service.web.answers import JSON
from service.web.problems import PROBLEM, Problem, http_problem, problem_of


def register(app: Flask) -> None:
    """Answer every error of `app`."""
    app.register_error_handler(CoatcheckError, answer)
    app.register_error_handler(HTTPException, answer_http)


def answer(error: CoatcheckError) -> Response:
    """The response to an error of the service."""
    return _response(problem_of(error))


def answer_http(error: HTTPException) -> Response:
    """The response to an error of HTTP, or to one that nobody foresaw (500)."""
    own_words = vars(error).get("description")  # the class has English ones, which we replace
    headers = tuple(
        header
        for header in error.get_headers()
        if header[0] not in ("Content-Type", "Content-Length")
    )
    return _response(http_problem(error.code or 500, own_words, headers))


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


def wants_page() -> bool:
    """Whether the client is a person's browser, looking for a page."""
    offered = [PROBLEM, JSON, "text/html"]
    return (
        not request.path.startswith("/api/")
        and request.accept_mimetypes.best_match(offered) == "text/html"
    )


def _response(problem: Problem) -> Response:
    if not wants_page():
        return problem.answer().response()
    page = render_template("layout/error.html", problem=problem)
    return Response(page, problem.status, problem.headers)
