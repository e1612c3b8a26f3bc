"""The forms with username and password, and where people go from there."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from flask import url_for
from werkzeug.wrappers import Response

from service.errors import CoatcheckError, TooManyRequests, Unavailable, UsernameTaken
from service.web.answers import Headers
from service.web.problems import problem_of
from service.web.rendering import render

Page = str | Response | tuple[str, int] | tuple[str, int, Headers]


def show(template: str, fields: Mapping[str, str], error: CoatcheckError | None = None) -> Page:
    """A form with what was typed, except the password; after an error, it says what is wrong."""
    problem = problem_of(error) if error else None
    wrong = {each["field"]: each["message"] for each in problem.errors} if problem else {}
    if problem and isinstance(error, UsernameTaken):
        wrong = {"username": problem.detail}
    # After a 503 the account may exist. With the same idempotency key, the form finds it, unless it
    # comes too often.
    may_exist = isinstance(error, Unavailable | TooManyRequests)
    kept = fields.get("idempotency_key") if may_exist else None
    page = render(
        template,
        username=fields.get("username", ""),
        remember="remember" in fields,
        idempotency_key=kept or secrets.token_urlsafe(16),
        next=next_path(fields),
        wrong=wrong,
        notice=problem.detail if problem and not wrong.keys() & {"username", "password"} else None,
    )
    return (page, problem.status, problem.headers) if problem else page


def next_path(fields: Mapping[str, str]) -> str:
    """The path to go to after signing in, which is always on this site. Browsers drop control
    characters, and then take `//host` and `/\\host` for other sites."""
    path = fields.get("next", "")
    harmless = path.isascii() and path.isprintable() and "\\" not in path
    if harmless and path.startswith("/") and not path.startswith("//"):
        return path
    return url_for("coatcheck.home.page")
