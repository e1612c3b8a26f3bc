"""The account page: devices, password, deletion."""

from __future__ import annotations

from contextlib import suppress

from flask import Blueprint, redirect, url_for

from service.errors import (
    DatabaseUnavailable,
    InvalidInput,
    NoSuchSession,
    NotSignedIn,
    TooManyRequests,
    WrongPassword,
)
from service.web import current, known_device
from service.web.access import first_sign_in
from service.web.activity import activity_json
from service.web.bodies import form_fields
from service.web.pages.forms import Page
from service.web.problems import Problem, problem_of
from service.web.rendering import render
from service.web.routes import hashes_a_password
from service.web.services import services
from service.web.shapes import sessions_json

RECENT = 10  # entries

blueprint = Blueprint("account", __name__, url_prefix="/account")
blueprint.register_error_handler(NotSignedIn, first_sign_in)


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
    return redirect(
        url_for("coatcheck.account.overview" if current.owner() else "coatcheck.home.page"), 303
    )


@blueprint.post("/sessions/revoke-others")
def revoke_others() -> Page:
    """End every session except this one."""
    user = current.signed_in()
    services().revocation.revoke_others(current.session(), user, current.client())
    known_device.remember(user.owner.account_id)
    return redirect(url_for("coatcheck.account.overview"), 303)


@blueprint.post("/password")
@hashes_a_password
def change_password() -> Page:
    """Change the password; every other session ends."""
    user = current.signed_in()
    fields = form_fields()
    try:
        new = services().password_policy.check(fields.get("new_password", ""), user.owner.username)
        confirmed = services().password_factor.confirm(
            user, fields.get("current_password", ""), current.client()
        )
        current.change_password(confirmed, new)
    except (InvalidInput, WrongPassword, TooManyRequests) as error:
        return _overview(problem_of(error), "password")
    return redirect(url_for("coatcheck.account.overview"), 303)


@blueprint.post("/delete")
@hashes_a_password
def delete() -> Page:
    """Delete the account."""
    user = current.signed_in()
    try:
        services().password_factor.confirm(
            user, form_fields().get("password", ""), current.client()
        )
        current.delete_account(user)
    except (WrongPassword, TooManyRequests) as error:
        return _overview(problem_of(error), "deletion")
    return redirect(url_for("coatcheck.home.page"), 303)


def _overview(problem: Problem | None = None, form: str = "") -> Page:
    """The page. A problem is shown in one of its forms: "password" or "deletion"."""
    owner, record = current.signed_in()
    devices = services().session_store.devices(record.id.locator)
    try:
        recent = services().audit.activity(owner.account_id, RECENT)
    except DatabaseUnavailable:
        recent = None  # the devices are there, and can be signed out
    page = render(
        "coatcheck/account/overview.html",
        owner=owner,
        sessions=sessions_json(devices, record),
        activity=None if recent is None else [activity_json(entry) for entry in recent],
        notices={form: problem.detail} if problem else {},
    )
    return (page, problem.status, problem.headers) if problem else page
