"""The account page: devices, password, deletion."""

from __future__ import annotations

from contextlib import suppress

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from service.credentials import passwords
from service.errors import (
    DatabaseUnavailable,
    InvalidInput,
    NoSuchSession,
    NotSignedIn,
    WrongPassword,
)
from service.web import current
from service.web.activity import activity_json
from service.web.bodies import form_fields
from service.web.error_handlers import answer, wants_page
from service.web.pages.forms import Page
from service.web.problems import problem_of
from service.web.routes import hashes_a_password
from service.web.services import services
from service.web.shapes import sessions_json

RECENT = 10  # entries

blueprint = Blueprint("account", __name__, url_prefix="/account")


@blueprint.errorhandler(NotSignedIn)
def first_sign_in(error: NotSignedIn) -> Response:
    """Send people to the sign-in form, and back afterwards. A form that they submit is rejected."""
    if request.method != "GET" or not wants_page():
        return answer(error)
    return redirect(url_for("sign_in.form", next=request.full_path.rstrip("?")), 303)


@blueprint.get("")
def overview() -> Page:
    """Show the devices, the recent activity, and the forms to change the password and delete the
    account."""
    return _overview()


@blueprint.post("/sessions/<handle>/revoke")
def revoke_one(handle: str) -> Page:
    """End one session, which signs out if it is the current one."""
    with suppress(NoSuchSession):  # it has just ended, as the page will show
        current.revoke(handle)
    return redirect(url_for("account.overview" if current.owner() else "home.page"), 303)


@blueprint.post("/sessions/revoke-others")
def revoke_others() -> Page:
    """End every session except this one."""
    services().revocation.revoke_several(
        current.signed_in(), everywhere=False, client=current.client()
    )
    return redirect(url_for("account.overview"), 303)


@blueprint.post("/password")
@hashes_a_password
def change_password() -> Page:
    """Change the password; every other session ends."""
    user = current.signed_in()
    fields = form_fields()
    try:
        new = passwords.check_new(fields.get("new_password", ""))
        confirmed = services().password_factor.confirm(
            user, fields.get("current_password", ""), current.client()
        )
        changed = services().revocation.change_password(user, confirmed, new, current.client())
    except (InvalidInput, WrongPassword) as error:
        problem = problem_of(error)
        return _overview(problem.status, password_notice=problem.detail)
    current.session().replace_record(changed)
    return redirect(url_for("account.overview"), 303)


@blueprint.post("/delete")
@hashes_a_password
def delete() -> Page:
    """Delete the account."""
    user = current.signed_in()
    try:
        confirmed = services().password_factor.confirm(
            user, form_fields().get("password", ""), current.client()
        )
        services().revocation.delete(
            confirmed.account.username, current.client(), user.record.id.digest
        )
    except WrongPassword as error:
        problem = problem_of(error)
        return _overview(problem.status, deletion_notice=problem.detail)
    current.forget()
    return redirect(url_for("home.page"), 303)


def _overview(status: int = 200, password_notice: str = "", deletion_notice: str = "") -> Page:
    owner, record = current.signed_in()
    devices = services().session_store.devices(record.id.locator)
    try:
        recent = services().audit.activity(owner.account_id, RECENT)
    except DatabaseUnavailable:
        recent = None  # the devices are there, and can be signed out
    page = render_template(
        "account/overview.html",
        owner=owner,
        sessions=sessions_json(devices, record),
        activity=None if recent is None else [activity_json(entry) for entry in recent],
        password_notice=password_notice,
        deletion_notice=deletion_notice,
    )
    return page, status
