"""The JSON API, version 1; but for the current session, which gate.py tells."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

from service.errors import FieldError, InvalidInput, NoSuchSession, SessionStoreUnavailable
from service.web import current
from service.web.bodies import json_credentials, json_object, json_strings, merge_patch
from service.web.services import services
from service.web.shapes import account_json, session_json, signed_in_json

api = Blueprint("api", __name__, url_prefix="/api/v1")

Answer = tuple[dict[str, Any], int]


@api.post("/accounts")
def register() -> Answer:
    """Register and sign in. With the session store down the account exists all the same: the
    answer is 201 without a session, never an error that would be repeated."""
    credentials = json_credentials()
    account = services().registration.register(
        credentials.username, credentials.password, request.headers.get("Idempotency-Key")
    )
    try:
        current.sign_in(account, credentials.remember)
    except SessionStoreUnavailable:
        return {"account": account_json(account.owner), "session": None}, 201
    return signed_in_json(*current.signed_in()), 201


@api.get("/usernames/<username>")
def username(username: str) -> Answer:
    """Whether the name can be registered, and if not, why."""
    reason = services().registration.availability(username)
    return {"username": username, "available": reason is None, "reason": reason}, 200


@api.post("/sessions")
def login() -> Answer:
    """Sign in."""
    credentials = json_credentials()
    account = services().login.authenticate(credentials.username, credentials.password)
    current.sign_in(account, credentials.remember)
    return signed_in_json(*current.signed_in()), 201


@api.delete("/sessions/current")
def logout() -> tuple[str, int]:
    """Sign out."""
    current.sign_out()
    return "", 204


@api.get("/sessions")
def devices() -> Answer:
    """The account's sessions that live."""
    _, record = current.signed_in()
    listed = services().session_store.devices(record.id.locator)
    return {
        "sessions": [session_json(each, each.handle == record.id.digest) for each in listed]
    }, 200


@api.delete("/sessions")
def revoke_several() -> Answer:
    """End the account's other sessions, or all of them."""
    _, record = current.signed_in()
    scope = request.args.get("scope")
    if scope not in ("others", "all"):
        raise InvalidInput(FieldError("scope", "invalid", "scope must be others or all."))
    revoked = services().revocation.sign_out(record, everywhere=scope == "all")
    if scope == "all":
        current.forget()
    return {"revoked": revoked}, 200


@api.delete("/sessions/<handle>")
def revoke_one(handle: str) -> tuple[str, int]:
    """End one of the account's sessions, which may be this one."""
    _, record = current.signed_in()
    if not services().session_store.revoke(record.id.locator, handle):
        raise NoSuchSession
    if handle == record.id.digest:
        current.forget()
    return "", 204


@api.get("/sessions/current/data")
def data() -> Answer:
    """What the session holds."""
    return current.session().copy(), 200


@api.patch("/sessions/current/data")
def change_data() -> Answer:
    """Change what the session holds by a JSON merge patch (RFC 7396)."""
    session = current.session()
    for key, change in json_object().items():
        if change is None:
            session.pop(key, None)
        else:
            session[key] = merge_patch(session.get(key), change)
    return session.copy(), 200


@api.put("/account/password")
def change_password() -> tuple[str, int]:
    """Change the password: this session gets a new id, all others end."""
    _, record = current.signed_in()
    body = json_strings("current_password", "new_password")
    current.continue_as(
        services().revocation.change_password(
            record, body["current_password"], body["new_password"]
        )
    )
    return "", 204


@api.delete("/account")
def delete_account() -> tuple[str, int]:
    """Delete the account: every session ends, the name stays taken for a quarantine."""
    _, record = current.signed_in()
    services().revocation.delete_own(record, json_strings("password")["password"])
    current.forget()
    return "", 204
