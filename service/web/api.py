"""The JSON API, version 1."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, request

from service.errors import SessionStoreUnavailable
from service.sessions.record import Owner, Record
from service.web import current
from service.web.bodies import json_credentials
from service.web.services import services

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
    return signed_in_json(), 201


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
    return signed_in_json(), 201


@api.get("/sessions/current")
def current_session() -> Answer:
    """Who is signed in."""
    return signed_in_json(), 200


@api.delete("/sessions/current")
def logout() -> tuple[str, int]:
    """Sign out."""
    current.sign_out()
    return "", 204


def signed_in_json() -> dict[str, Any]:
    """The signed-in account and its session.

    Raises:
        NotSignedIn: nobody is.
    """
    owner, record = current.signed_in()
    return {"account": account_json(owner), "session": session_json(record)}


def account_json(owner: Owner) -> dict[str, Any]:
    """An account as the API shows it to its owner."""
    return {
        "id": owner.account_id,
        "username": owner.username,
        "created_at": _rfc3339(owner.created_at),
    }


def session_json(record: Record) -> dict[str, Any]:
    """The session of this request as the API shows it to its owner."""
    return {
        "handle": record.id.digest,
        "current": True,
        "created_at": _rfc3339(record.created / 1000),
        "last_seen_at": _rfc3339(record.seen / 1000),
        "expires_at": _rfc3339(record.expires / 1000),
        "address": record.metadata.address,
    }


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
