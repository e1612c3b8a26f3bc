"""The account page: devices, password, deletion."""

from __future__ import annotations

from contextlib import suppress

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from service.errors import (
    CoatcheckError,
    InvalidInput,
    NoSuchSession,
    NotSignedIn,
    WrongPassword,
)
from service.web import current
from service.web.problems import answer, status_of, wants_page
from service.web.routes import hashes_a_password
from service.web.services import services
from service.web.shapes import sessions_json

blueprint = Blueprint("account", __name__, url_prefix="/account")

Page = str | Response | tuple[str, int]


@blueprint.errorhandler(NotSignedIn)
def first_sign_in(error: NotSignedIn) -> Response:
    """Send people to the sign-in form and back afterwards; reject what they send with a form."""
    if request.method != "GET" or not wants_page():
        return answer(error)
    return redirect(url_for("sign_in.form", next=request.full_path.rstrip("?")), 303)


@blueprint.get("")
def overview() -> Page:
    """Devices, and the forms to change the password and to delete the account."""
    return _overview()


@blueprint.post("/sessions/<handle>/revoke")
def revoke_one(handle: str) -> Page:
    """End one session, which signs out if it is the current one."""
    with suppress(NoSuchSession):  # it has ended meanwhile, and the list will show that
        current.revoke(handle)
    return redirect(url_for("account.overview" if current.owner() else "home.page"), 303)


@blueprint.post("/sessions/revoke-others")
def revoke_others() -> Page:
    """End every session except this one."""
    services().revocation.revoke_several(current.signed_in(), everywhere=False)
    return redirect(url_for("account.overview"), 303)


@blueprint.post("/password")
@hashes_a_password
def change_password() -> Page:
    """Change the password; every other session ends."""
    user = current.signed_in()
    form = request.form
    try:
        changed = services().revocation.change_password(
            user, form.get("current_password", ""), form.get("new_password", "")
        )
    except (InvalidInput, WrongPassword) as error:
        return _overview(password_error=error)
    current.continue_as(changed)
    return redirect(url_for("account.overview"), 303)


@blueprint.post("/delete")
@hashes_a_password
def delete() -> Page:
    """Delete the account."""
    user = current.signed_in()
    try:
        services().revocation.delete_own(user, request.form.get("password", ""))
    except WrongPassword as error:
        return _overview(deletion_error=error)
    current.forget()
    return redirect(url_for("home.page"), 303)


def _overview(
    password_error: CoatcheckError | None = None, deletion_error: CoatcheckError | None = None
) -> Page:
    owner, record = current.signed_in()
    devices = services().session_store.devices(record.id.locator)
    page = render_template(
        "account.html",
        owner=owner,
        sessions=sessions_json(devices, record),
        password_error=password_error,
        deletion_error=deletion_error,
    )
    error = password_error or deletion_error
    return page, status_of(error) if error else 200
