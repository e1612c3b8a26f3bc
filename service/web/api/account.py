"""Changing the password of the signed-in account, and deleting it."""

from __future__ import annotations

from flask import Blueprint

from service.credentials import passwords
from service.web import current, known_device
from service.web.bodies import json_strings
from service.web.routes import hashes_a_password
from service.web.services import services

blueprint = Blueprint("account", __name__, url_prefix="/account")


@blueprint.put("/password")
@hashes_a_password
def change_password() -> tuple[str, int]:
    """Change the password: this session gets a new id, and all others end."""
    user = current.signed_in()
    body = json_strings("current_password", "new_password")
    new = passwords.check_new(body["new_password"])
    confirmed = services().password_factor.confirm(
        user.owner, body["current_password"], current.client()
    )
    changed = services().revocation.change_password(user, confirmed, new)
    current.session().replace_record(changed)
    known_device.remember(user.owner.account_id)
    return "", 204


@blueprint.delete("")
@hashes_a_password
def delete() -> tuple[str, int]:
    """Delete the account: every session ends, and the name stays taken for a while."""
    user = current.signed_in()
    password = json_strings("password")["password"]
    confirmed = services().password_factor.confirm(user.owner, password, current.client())
    services().revocation.delete(confirmed.account.username)
    current.forget()
    return "", 204
