"""Changing the password of the signed-in account, and deleting it."""

from __future__ import annotations

from flask import Blueprint

from service.web import current
from service.web.bodies import json_strings, optional_json_string
from service.web.routes import hashes_a_password
from service.web.services import services

blueprint = Blueprint("account", __name__, url_prefix="/account")


@blueprint.put("/password")
@hashes_a_password
def change_password() -> tuple[str, int]:
    """Change the password: this session gets a new id, and all others end."""
    user = current.signed_in()
    body = json_strings("current_password", "new_password")
    new = services().password_policy.check(body["new_password"], user.owner.username)
    confirmed = services().password_factor.confirm(user.owner, body["current_password"])
    changed = services().revocation.change_password(user, confirmed, new)
    current.session().replace_record(changed)
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
        services().password_factor.confirm(user.owner, password)
    services().revocation.delete(user.owner.username)
    current.forget()
    return "", 204
