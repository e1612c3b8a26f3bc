"""Signing in and out, and the sessions of the signed-in account."""

from __future__ import annotations

from flask import Blueprint, Response, request

from service.credentials import passwords
from service.errors import FieldError, InvalidInput
from service.signin.flow import Proof
from service.throttling.table import Limited
from service.web import current, known_device
from service.web.answers import json_response
from service.web.bodies import json_credentials, json_strings
from service.web.routes import hashes_a_password, rejected_early
from service.web.services import services
from service.web.shapes import sessions_json, signed_in_json

blueprint = Blueprint("sessions", __name__, url_prefix="/sessions")


@blueprint.post("")
@hashes_a_password
@rejected_early(Limited.LOGIN)
def sign_in() -> Response:
    """Sign in."""
    credentials = json_credentials()
    proof = services().password_factor.prove(
        credentials.username, credentials.password, current.client(), known_device.marks()
    )
    current.sign_in(proof, credentials.remember)
    return json_response(signed_in_json(*current.signed_in()), 201)


@blueprint.post("/current/step-up")
@hashes_a_password
def step_up() -> tuple[str, int]:
    """Prove again who is signed in: this session gets a new id."""
    user = current.about_to_change()
    password = json_strings("password")["password"]
    confirmed = services().password_factor.confirm(user, password, current.client())
    renewed = services().fresh_proof.renew(user, Proof(confirmed.account, passwords.METHOD))
    current.session().replace_record(renewed)
    known_device.remember(confirmed.account)
    return "", 204


@blueprint.delete("/current")
def sign_out() -> tuple[str, int]:
    """Sign out."""
    current.sign_out()
    return "", 204


@blueprint.get("")
def devices() -> Response:
    """List the account's sessions."""
    _, record = current.signed_in()
    listed = services().session_store.devices(record.id.locator)
    return json_response({"sessions": sessions_json(listed, record)})


@blueprint.delete("")
def revoke_several() -> Response:
    """End the account's other sessions, or all of them."""
    current.signed_in()
    scope = request.args.get("scope")
    if scope not in ("others", "all"):
        raise InvalidInput(FieldError("scope", "invalid"))
    revoked = current.revoke_others() if scope == "others" else current.revoke_all()
    return json_response({"revoked": revoked})


@blueprint.delete("/<handle>")
def revoke_one(handle: str) -> tuple[str, int]:
    """End one of the account's sessions, which may be this one."""
    current.revoke(handle)
    return "", 204
