"""The account page: devices, password, deletion."""

from __future__ import annotations

from contextlib import suppress

from flask import Blueprint, redirect, request, url_for

from service.errors import (
    DatabaseUnavailable,
    InvalidInput,
    NoSuchSession,
    NotSignedIn,
    TooManyRequests,
    WrongPassword,
)
from service.web import current
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
    current.revoke_others()
    return redirect(url_for("coatcheck.account.overview"), 303)


@blueprint.post("/password")
@hashes_a_password
def change_password() -> Page:
    """Change the password; every other session ends."""
    current.signed_in()
    fields = form_fields()
    try:
        current.change_password(fields.get("current_password", ""), fields.get("new_password", ""))
    except (InvalidInput, WrongPassword, TooManyRequests) as error:
        return _overview(problem_of(error), "current_password")
    return redirect(url_for("coatcheck.account.overview", changed="password"), 303)


@blueprint.post("/delete")
@hashes_a_password
def delete() -> Page:
    """Delete the account."""
    current.signed_in()
    try:
        current.delete_account(form_fields().get("password", ""))
    except (WrongPassword, TooManyRequests) as error:
        return _overview(problem_of(error), "password")
    return redirect(url_for("coatcheck.home.page", account="deleted"), 303)


@blueprint.get("/password")
@blueprint.get("/delete")
def back() -> Page:
    """Lead to the page with the forms: the address of one that was rejected is still in the
    browser."""
    return redirect(url_for("coatcheck.account.overview"), 303)


def _overview(problem: Problem | None = None, field: str = "") -> Page:
    """The page. A problem is shown at the fields that it is about, or else at `field`."""
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
        wrong=_wrong(problem, field) if problem else {},
        is_changed=request.args.get("changed") == "password",
    )
    return (page, problem.status, problem.headers) if problem else page


def _wrong(problem: Problem, field: str) -> dict[str, str]:
    """What is wrong with each field of the forms."""
    found = {each["field"]: each["message"] for each in problem.errors}
    return found or {field: problem.detail}
