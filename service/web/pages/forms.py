"""The forms for a username and a password, and where they lead."""

from __future__ import annotations

import secrets

from flask import render_template, request, url_for
from werkzeug.wrappers import Response

from service.errors import CoatcheckError, InvalidInput, Unavailable, UsernameTaken
from service.web.problems import advice, status_of

Page = str | Response | tuple[str, int] | tuple[str, int, dict[str, str]]


def show(template: str, error: CoatcheckError | None = None) -> Page:
    """An empty form; or, after an error, what was wrong and everything typed except the
    password."""
    wrong = {"username": str(error)} if isinstance(error, UsernameTaken) else {}
    if isinstance(error, InvalidInput):
        wrong = {each.field: each.message for each in error.errors}
    # After a 503 the account may exist; sent again with the same key, the form finds it.
    kept = request.form.get("attempt") if isinstance(error, Unavailable) else None
    page = render_template(
        template,
        username=request.form.get("username", ""),
        remember="remember" in request.form,
        attempt=kept or secrets.token_urlsafe(16),
        next=next_path(),
        wrong=wrong,
        notice=str(error) if error and not wrong.keys() & {"username", "password"} else None,
    )
    return page, status_of(error) if error else 200, dict(advice(error)) if error else {}


def next_path() -> str:
    """Where to go after signing in: always a path of this site, whatever the request asks for.
    Browsers read `//host` and `/\\host` as other sites, and drop control characters first."""
    path = request.values.get("next", "")
    harmless = path.isascii() and path.isprintable() and "\\" not in path
    if harmless and path.startswith("/") and not path.startswith("//"):
        return path
    return url_for("home.page")
