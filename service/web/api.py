"""The JSON API, version 1, and what a proxy asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from service.errors import FieldError, InvalidInput, NoSuchSession, SessionStoreUnavailable
from service.sessions.record import Record
from service.web import current, who
from service.web.answers import Answer
from service.web.bodies import (
    LARGEST_BODY,
    json_credentials,
    json_object,
    json_strings,
    merge_patch,
)
from service.web.routes import hashes_a_password
from service.web.services import services
from service.web.shapes import account_json, session_json, signed_in_json

api = Blueprint("api", __name__, url_prefix="/api/v1")
verification = Blueprint("verification", __name__)

Reply = tuple[dict[str, Any], int]


@api.post("/accounts")
@hashes_a_password
def register() -> Reply:
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


@api.get("/sessions/current")
def signed_in() -> Response:
    """Who is signed in, and with which session."""
    return _told(who.CURRENT, who.description)


@verification.get(who.VERIFY)
def verify() -> Response:
    """Who is signed in, for a proxy."""
    return _told(who.VERIFY, who.introduction)


def _told(path: str, tell: Callable[[Record | None], Answer]) -> Response:
    try:
        return tell(current.session().record).response()
    except SessionStoreUnavailable as error:
        return who.unknown(path, error).response()


@api.get("/usernames/<username>")
def username(username: str) -> Reply:
    """Whether the name can be registered, and if not, why."""
    reason = services().registration.availability(username)
    return {"username": username, "available": reason is None, "reason": reason}, 200


@api.post("/sessions")
@hashes_a_password
def login() -> Reply:
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
def devices() -> Reply:
    """The account's sessions that live."""
    _, record = current.signed_in()
    listed = services().session_store.devices(record.id.locator)
    return {
        "sessions": [session_json(each, each.handle == record.id.digest) for each in listed]
    }, 200


@api.delete("/sessions")
def revoke_several() -> Reply:
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
def data() -> Reply:
    """What the session holds."""
    return current.session().copy(), 200


@api.patch("/sessions/current/data")
def change_data() -> Reply:
    """Change what the session holds by a JSON merge patch (RFC 7396)."""
    request.max_content_length = LARGEST_BODY
    session = current.session()
    for key, change in json_object().items():
        if change is None:
            session.pop(key, None)
        else:
            session[key] = merge_patch(session.get(key), change)
    return session.copy(), 200


@api.put("/account/password")
@hashes_a_password
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
@hashes_a_password
def delete_account() -> tuple[str, int]:
    """Delete the account: every session ends, the name stays taken for a quarantine."""
    _, record = current.signed_in()
    services().revocation.delete_own(record, json_strings("password")["password"])
    current.forget()
    return "", 204
