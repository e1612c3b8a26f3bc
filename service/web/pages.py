"""The pages, for people with a browser."""

from __future__ import annotations

import secrets

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from service.errors import (
    CoatcheckError,
    InvalidCredentials,
    InvalidInput,
    SessionRevoked,
    SessionStoreUnavailable,
    Unavailable,
    UsernameTaken,
)
from service.web import current, tutorial
from service.web.bodies import JSON, form_credentials
from service.web.problems import status_of
from service.web.routes import hashes_a_password
from service.web.services import services

pages = Blueprint("pages", __name__)

MEMBERS_PER_PAGE = 50

Page = str | Response | tuple[str, int] | tuple[str, int, dict[str, str]]


@pages.get("/")
def home() -> Page:
    """Who is signed in, and the members; for everybody else the way in."""
    owner = current.owner()
    if owner is None:
        return render_template("welcome.html")
    before = request.args.get("before", type=int)
    members = services().accounts.newest_members(MEMBERS_PER_PAGE + 1, before)
    older = members[MEMBERS_PER_PAGE - 1].id if len(members) > MEMBERS_PER_PAGE else None
    return render_template(
        "home.html", owner=owner, members=members[:MEMBERS_PER_PAGE], older=older, before=before
    )


@pages.get("/register")
def registration_form() -> Page:
    """The form to register."""
    return _form("register.html")


@pages.post("/register")
@hashes_a_password
def register() -> Page:
    """Register and sign in; or, for JSON, what the original tutorial answers."""
    if request.mimetype == JSON:
        return tutorial.register()
    credentials = form_credentials()
    try:
        account = services().registration.register(
            credentials.username, credentials.password, request.form.get("attempt")
        )
    except (InvalidInput, UsernameTaken, Unavailable) as error:
        return _form("register.html", error)
    try:
        current.sign_in(account, credentials.remember)
    except SessionStoreUnavailable:
        return render_template("registered.html", username=account.username), 201
    return redirect(url_for("pages.home"), 303)


@pages.get("/login")
def login_form() -> Page:
    """The form to sign in."""
    return _form("login.html")


@pages.post("/login")
@hashes_a_password
def login() -> Page:
    """Sign in."""
    credentials = form_credentials()
    try:
        account = services().login.authenticate(credentials.username, credentials.password)
        current.sign_in(account, credentials.remember)
    except (InvalidCredentials, SessionRevoked, Unavailable) as error:
        return _form("login.html", error)
    return redirect(_next(), 303)


@pages.post("/logout")
def logout() -> Page:
    """Sign out."""
    current.sign_out()
    return redirect(url_for("pages.home"), 303)


def _next() -> str:
    """Where to go after signing in: a path of this site, whatever was asked for. A browser takes
    `//host` and `/\\host` for other sites, and drops control characters before it looks."""
    path = request.values.get("next", "")
    harmless = path.isascii() and path.isprintable() and "\\" not in path
    if harmless and path.startswith("/") and not path.startswith("//"):
        return path
    return url_for("pages.home")


def _form(template: str, error: CoatcheckError | None = None) -> Page:
    """The form, empty; or with what was wrong, and what was typed but the password."""
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
        next=_next(),
        wrong=wrong,
        notice=str(error) if error and not wrong.keys() & {"username", "password"} else None,
    )
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, Unavailable) else {}
    return page, status_of(error) if error else 200, headers
