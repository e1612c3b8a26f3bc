"""The page on which people register."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for

from service.credentials import passwords
from service.errors import InvalidInput, SessionStoreUnavailable, Unavailable, UsernameTaken
from service.signin.flow import Proof
from service.web import current, tutorial
from service.web.answers import JSON
from service.web.bodies import form_fields
from service.web.pages.forms import Page, show
from service.web.routes import hashes_a_password
from service.web.services import services

blueprint = Blueprint("registration", __name__)


@blueprint.get("/register")
def form() -> Page:
    """Show the form."""
    return show("registration/form.html", {})


@blueprint.post("/register")
@hashes_a_password
def register() -> Page:
    """Register and sign in; answer JSON as the original tutorial does."""
    if request.mimetype == JSON:
        return tutorial.register()
    fields = form_fields()
    try:
        account = services().registration.register(
            fields.get("username", ""), fields.get("password", ""), fields.get("idempotency_key")
        )
    except (InvalidInput, UsernameTaken, Unavailable) as error:
        return show("registration/form.html", fields, error)
    try:
        current.sign_in(Proof(account, passwords.METHOD), "remember" in fields)
    except SessionStoreUnavailable:
        return render_template("registration/registered.html", username=account.username), 201
    return redirect(url_for("home.page"), 303)
