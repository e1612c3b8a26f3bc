"""The home page."""

from __future__ import annotations

from flask import Blueprint, request

from service.errors import InvalidInput
from service.web import current, paging
from service.web.rendering import render
from service.web.services import services

MEMBERS_PER_PAGE = 50

blueprint = Blueprint("home", __name__)


@blueprint.get("/")
def page() -> str:
    """Show who is signed in, and the members. Everyone else sees how to sign in."""
    owner = current.owner()
    if owner is None:
        is_deleted = request.args.get("account") == "deleted"
        return render("coatcheck/home/welcome.html", is_deleted=is_deleted)
    before = _before()
    members = services().accounts.newest_members(MEMBERS_PER_PAGE + 1, before)
    older = members[MEMBERS_PER_PAGE - 1].id if len(members) > MEMBERS_PER_PAGE else None
    return render(
        "coatcheck/home/members.html",
        owner=owner,
        members=members[:MEMBERS_PER_PAGE],
        older=older,
        before=before,
    )


def _before() -> int | None:
    """The account from which the page goes on; None for the newest, and for what is no id."""
    try:
        return paging.before()
    except InvalidInput:
        return None
