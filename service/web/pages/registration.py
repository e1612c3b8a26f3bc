"""The page on which people register."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for

from service.credentials import passwords
from service.errors import InvalidInput, SessionStoreUnavailable, Unavailable, UsernameTaken
from service.signin.flow import Proof
from service.web import current, tutorial
from service.web.bodies import JSON, form_credentials
from service.web.pages.forms import Page, show
from service.web.routes import hashes_a_password
from service.web.services import services

blueprint = Blueprint("registration", __name__)


@blueprint.get("/register")
def form() -> Page:
    """Show the form."""
    return show("register.html")


@blueprint.post("/register")
@hashes_a_password
def register() -> Page:
    """Register and sign in; answer JSON as the original tutorial does."""
    if request.mimetype == JSON:
        return tutorial.register()
    credentials = form_credentials()
    try:
        account = services().registration.register(
            credentials.username, credentials.password, request.form.get("attempt")
        )
    except (InvalidInput, UsernameTaken, Unavailable) as error:
        return show("register.html", error)
    try:
        current.sign_in(Proof(account, passwords.METHOD), credentials.remember)
    except SessionStoreUnavailable:
        return render_template("registered.html", username=account.username), 201
    return redirect(url_for("home.page"), 303)
