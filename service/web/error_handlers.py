"""How Flask responds to errors: with a problem document for programs, a page for people.

In an application that has routes of its own, only our errors and our routes are answered here; its
people see our errors through its own handlers.
"""

from __future__ import annotations

from typing import Any

import structlog
from flask import Blueprint, Flask, Response, current_app, request
from flask.globals import request_ctx
from werkzeug.exceptions import HTTPException, default_exceptions
from werkzeug.wrappers import Response as AnyResponse

from service.errors import CoatcheckError
from service.logs import loggable
from service.web.answers import JSON, NO_STORE
from service.web.problems import PROBLEM, Problem, http_problem, problem_of
from service.web.rendering import has_pages, render
from service.web.routes import OURS

log = structlog.get_logger()

LONGEST_ACCEPT = 1024  # characters; browsers send fewer than 200
WHOLE = "coatcheck.whole"  # among the extensions of an application that is ours


def register(app: Flask) -> None:
    """Have `app` respond to our errors, wherever they happen."""
    app.register_error_handler(CoatcheckError, answer)


def register_for_routes(blueprint: Blueprint) -> None:
    """Have every error in the routes of `blueprint` answered in this way, whatever handlers the
    application has."""
    for status in default_exceptions:
        blueprint.register_error_handler(status, answer_http)


def register_for_all(app: Flask) -> None:
    """Have every error of `app`, which is ours, answered in this way."""
    app.extensions[WHOLE] = True
    app.register_error_handler(HTTPException, answer_http)
    app.log_exception = _log  # type: ignore[method-assign]


def answer(error: CoatcheckError) -> AnyResponse:
    """The response to an error of the service."""
    problem = problem_of(error)
    if not wants_page():
        return problem.answer().response()
    return _page(problem) if _is_ours() else _through_the_application(problem)


def answer_http(error: HTTPException) -> AnyResponse | HTTPException:
    """The response to an error of Flask, or to an unexpected one (500)."""
    if error.response is not None or type(error).get_body is not HTTPException.get_body:
        return error  # it brings its own
    detail = vars(error).get("description")  # from a view; Werkzeug's own are in the class
    headers = tuple(
        header
        for header in error.get_headers()
        if header[0] not in ("Content-Type", "Content-Length")
    )
    problem = http_problem(error.code or 500, detail, headers)
    return _page(problem) if wants_page() and has_pages() else problem.answer().response()


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


def _is_ours() -> bool:
    """Whether our page may answer the request."""
    return has_pages() and (WHOLE in current_app.extensions or OURS in request.blueprints)


def _log(exc_info: Any) -> None:
    """Flask's own line contains the path as the client sent it."""
    log.error("request_failed", path=loggable(request.path), exc_info=exc_info)


def _page(problem: Problem) -> AnyResponse:
    page = render("coatcheck/layout/error.html", problem=problem)
    response = Response(page, problem.status, problem.headers)
    response.headers.setdefault(*NO_STORE)
    return response


def _through_the_application(problem: Problem) -> AnyResponse:
    """The same problem as an error of Flask, which the application shows as it shows any other."""
    error = default_exceptions[problem.status](problem.detail)
    response = current_app.make_response(current_app.handle_http_exception(error))
    for name, value in (*problem.headers, NO_STORE):
        response.headers.setdefault(name, value)
    return response
