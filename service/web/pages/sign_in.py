"""The sign-in page, and signing out."""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for

from service.errors import InvalidCredentials, SessionRevoked, TooManyRequests, Unavailable
from service.web import current, known_device
from service.web.bodies import form_fields
from service.web.pages.forms import Page, next_path, show
from service.web.routes import hashes_a_password
from service.web.services import services

blueprint = Blueprint("sign_in", __name__)


@blueprint.get("/login")
def form() -> Page:
    """Show the form."""
    return show("coatcheck/sign_in/form.html", {"next": request.args.get("next", "")})


@blueprint.post("/login")
@hashes_a_password
def sign_in() -> Page:
    """Sign in."""
    fields = form_fields()
    try:
        proof = services().password_factor.prove(
            fields.get("username", ""),
            fields.get("password", ""),
            current.client(),
            known_device.marks(),
        )
        current.sign_in(proof, "remember" in fields)
    except (InvalidCredentials, SessionRevoked, TooManyRequests, Unavailable) as error:
        return show("coatcheck/sign_in/form.html", fields, error)
    return redirect(next_path(fields), 303)


@blueprint.post("/logout")
def sign_out() -> Page:
    """Sign out."""
    current.sign_out()
    return redirect(url_for("coatcheck.home.page"), 303)
