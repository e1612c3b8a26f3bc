"""The home page."""

from __future__ import annotations

import re

from flask import Blueprint, request

from service.web import current
from service.web.rendering import render
from service.web.services import services

MEMBERS_PER_PAGE = 50
ID = re.compile(r"\d{1,18}", re.ASCII)  # any such number fits into Postgres' bigint

blueprint = Blueprint("home", __name__)


@blueprint.get("/")
def page() -> str:
    """Show who is signed in, and the members. Everyone else sees how to sign in."""
    owner = current.owner()
    if owner is None:
        return render("coatcheck/home/welcome.html")
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
    given = request.args.get("before", "")
    return int(given) if ID.fullmatch(given) else None
