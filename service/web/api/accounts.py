"""Registering an account, and asking whether a name is free."""

from __future__ import annotations

from flask import Blueprint, Response, request

from service.credentials import passwords
from service.errors import SessionStoreUnavailable
from service.signin.flow import Proof
from service.throttling.table import Limited
from service.web import current
from service.web.answers import json_response
from service.web.bodies import json_credentials
from service.web.routes import hashes_a_password, limited
from service.web.services import services
from service.web.shapes import account_json, signed_in_json

blueprint = Blueprint("accounts", __name__)


@blueprint.post("/accounts")
@hashes_a_password
@limited(Limited.REGISTRATION)
def register() -> Response:
    """Register and sign in. If the session store is down, the answer is 201 without a session: the
    account exists, and an error would make the client try again."""
    credentials = json_credentials()
    account = current.register(
        credentials.username, credentials.password, request.headers.get("Idempotency-Key")
    )
    try:
        current.sign_in(Proof(account, passwords.METHOD), credentials.remember)
    except SessionStoreUnavailable:
        return json_response({"account": account_json(account.owner), "session": None}, 201)
    return json_response(signed_in_json(*current.signed_in()), 201)


@blueprint.get("/usernames/<username>")
@limited(Limited.AVAILABILITY)
def availability(username: str) -> Response:
    """Whether the name can be registered, and why not."""
    reason = services().registration.availability(username)
    return json_response({"username": username, "available": reason is None, "reason": reason})
