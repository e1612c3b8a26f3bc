"""The blueprint around everything of ours, so that nothing reaches beyond our own routes."""

from __future__ import annotations

from typing import Literal

from flask import Blueprint, Response, request

from service.web import api, error_handlers, pages
from service.web.answers import Headers
from service.web.bodies import MAX_BODY
from service.web.health import health
from service.web.routes import OURS

Parts = Literal["sessions", "api", "pages"]


def blueprint_of(parts: Parts, headers: Headers) -> Blueprint:
    """The routes of these parts, under names that start with `coatcheck.`.

    Args:
        parts: "sessions": no routes; "api": the API and the health checks; "pages": these and the
            pages.
        headers: of every response.
    """
    everything = Blueprint(
        OURS,
        __name__,
        static_folder="static" if parts == "pages" else None,
        static_url_path="/coatcheck/static",
    )
    if parts != "sessions":
        for each in (*api.blueprints, health):
            everything.register_blueprint(each)
    if parts == "pages":
        for each in pages.blueprints:
            everything.register_blueprint(each)

    @everything.before_request
    def bound_the_body() -> None:
        request.max_content_length = MAX_BODY

    @everything.after_request
    def secure(response: Response) -> Response:
        for name, value in headers:
            response.headers.setdefault(name, value)
        return response

    error_handlers.register_for_routes(everything)
    return everything
