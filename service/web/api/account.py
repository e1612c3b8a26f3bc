"""The signed-in account: its activity, its password, its deletion."""

from __future__ import annotations

from flask import Blueprint, Response, request

from service.errors import FieldError, InvalidInput
from service.web import current
from service.web.activity import activity_json
from service.web.answers import json_response
from service.web.bodies import json_strings, optional_json_string
from service.web.routes import hashes_a_password
from service.web.services import services

blueprint = Blueprint("account", __name__, url_prefix="/account")

ENTRIES_PER_PAGE = 50
LARGEST_ID = 2**63 - 1


@blueprint.get("/activity")
def activity() -> Response:
    """What happened to the account, newest first. `next` is what to send as `before` for more."""
    owner = current.signed_in().owner
    found = services().audit.activity(owner.account_id, ENTRIES_PER_PAGE + 1, _before())
    shown = found[:ENTRIES_PER_PAGE]
    more = shown[-1].id if len(found) > len(shown) else None
    return json_response({"activity": [activity_json(entry) for entry in shown], "next": more})


def _before() -> int | None:
    before = request.args.get("before")
    if before is None:
        return None
    # Length first: converting a long number takes time.
    if len(before) > len(str(LARGEST_ID)) or not (before.isascii() and before.isdigit()):
        raise InvalidInput(FieldError("before", "invalid"))
    return min(int(before), LARGEST_ID)


@blueprint.put("/password")
@hashes_a_password
def change_password() -> tuple[str, int]:
    """Change the password: this session gets a new id, and all others end."""
    user = current.signed_in()
    body = json_strings("current_password", "new_password")
    new = services().password_policy.check(body["new_password"], user.owner.username)
    confirmed = services().password_factor.confirm(user, body["current_password"], current.client())
    current.change_password(confirmed, new)
    return "", 204


@blueprint.delete("")
@hashes_a_password
def delete() -> tuple[str, int]:
    """Delete the account: every session ends, and the name stays taken for a while. Without a
    password, the last proof must be fresh."""
    user = current.signed_in()
    password = optional_json_string("password")
    if password is None:
        services().fresh_proof.require(user.record)
    else:
        services().password_factor.confirm(user, password, current.client())
    current.delete_account(user)
    return "", 204
