"""The signed-in account: its activity, its password, its deletion."""

from __future__ import annotations

from flask import Blueprint, Response

from service.web import current
from service.web.activity import activity_json
from service.web.answers import json_response
from service.web.bodies import json_strings, optional_json_string
from service.web.paging import before
from service.web.routes import hashes_a_password
from service.web.services import services

blueprint = Blueprint("account", __name__, url_prefix="/account")

ENTRIES_PER_PAGE = 50


@blueprint.get("/activity")
def activity() -> Response:
    """What happened to the account, newest first. `next` is what to send as `before` for more."""
    owner = current.signed_in().owner
    found = services().audit.activity(owner.account_id, ENTRIES_PER_PAGE + 1, before())
    shown = found[:ENTRIES_PER_PAGE]
    more = shown[-1].id if len(found) > len(shown) else None
    return json_response({"activity": [activity_json(entry) for entry in shown], "next": more})


@blueprint.put("/password")
@hashes_a_password
def change_password() -> tuple[str, int]:
    """Change the password: this session gets a new id, and all others end."""
    current.signed_in()
    body = json_strings("current_password", "new_password")
    current.change_password(body["current_password"], body["new_password"])
    return "", 204


@blueprint.delete("")
@hashes_a_password
def delete() -> tuple[str, int]:
    """Delete the account: every session ends, and the name stays taken for a while. Without a
    password, the last proof must be fresh."""
    current.signed_in()
    current.delete_account(optional_json_string("password"))
    return "", 204
