"""The registration page."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request, url_for

from service.credentials import passwords
from service.errors import (
    CoatcheckError,
    InvalidInput,
    SessionStoreUnavailable,
    TooManyRequests,
    Unavailable,
    UsernameTaken,
)
from service.signin.flow import Proof
from service.throttling.table import Limited
from service.web import current
from service.web.answers import JSON, json_answer
from service.web.bodies import form_fields, json_credentials
from service.web.pages.forms import Page, show
from service.web.problems import problem_of
from service.web.rendering import render
from service.web.routes import hashes_a_password

blueprint = Blueprint("registration", __name__)


@blueprint.get("/register")
def form() -> Page:
    """Show the form."""
    return show("coatcheck/registration/form.html", {})


@blueprint.post("/register")
@hashes_a_password
def register() -> Page:
    """Register and sign in."""
    if request.mimetype == JSON:
        return _register_as_in_the_tutorial()
    fields = form_fields()
    try:
        current.charge(Limited.REGISTRATION)
        account = current.register(
            fields.get("username", ""), fields.get("password", ""), fields.get("idempotency_key")
        )
    except (InvalidInput, UsernameTaken, TooManyRequests, Unavailable) as error:
        return show("coatcheck/registration/form.html", fields, error)
    try:
        current.sign_in(Proof(account, passwords.METHOD), "remember" in fields)
    except SessionStoreUnavailable:
        return render("coatcheck/registration/registered.html", username=account.username), 201
    return redirect(url_for("coatcheck.home.page"), 303)


def _register_as_in_the_tutorial() -> Response:
    """The JSON form of POST /register, which clients of the original tutorial expect: 201
    {message, username}, or 409, 400, 429 or 503 {error}. Nobody is signed in."""
    try:
        current.charge(Limited.REGISTRATION)
        credentials = json_credentials()
        account = current.register(credentials.username, credentials.password)
    except CoatcheckError as error:
        problem = problem_of(error)
        status = 400 if isinstance(error, InvalidInput) else problem.status
        return json_answer(status, {"error": problem.detail}, *problem.headers).response()
    registered = {"message": "User registered.", "username": account.username}
    return json_answer(201, registered).response()
