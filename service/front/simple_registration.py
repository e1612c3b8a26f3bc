"""Finds the username in a registration that is simple enough for the event loop."""

from __future__ import annotations

from typing import Any

import msgspec

from service.accounts import usernames
from service.accounts.usernames import MAX_LENGTH, Username
from service.credentials.policy import PasswordPolicy
from service.errors import InvalidInput
from service.front.asgi import RawHeaders
from service.web.answers import JSON
from service.web.bodies import MAX_BODY

ORIGIN_HEADERS = frozenset({b"origin", b"sec-fetch-site"})
# A request with one of these headers needs checks that only Flask makes.
FLASK_ONLY_HEADERS = ORIGIN_HEADERS | {b"idempotency-key"}


class _Sent(msgspec.Struct):
    username: str
    password: str
    remember: bool = False


_decode = msgspec.json.Decoder(_Sent).decode


def names_its_origin(headers: RawHeaders) -> bool:
    """Whether a browser says from which site the request comes."""
    return any(name in ORIGIN_HEADERS for name, _ in headers)


def username_of(headers: RawHeaders, body: bytes, policy: PasswordPolicy) -> Username | None:
    """The username in a simple and valid registration; None if Flask must look at the request.

    A weak password passes, because it takes too long to find out: if the name is taken, the client
    learns of that first.

    Args:
        headers: of the request, with names in lower case.
        body: of the request.
        policy: for the password.
    """
    kind: Any = None
    for name, value in headers:
        if name in FLASK_ONLY_HEADERS:
            return None
        if name == b"content-type":
            kind = value
    if kind != JSON.encode() or len(body) > MAX_BODY:
        return None
    try:
        sent = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    # Checking a long or non-ASCII value may hold the loop for too long.
    if not sent.password.isascii() or len(sent.username) > MAX_LENGTH:
        return None
    try:
        username = usernames.parse(sent.username)
        policy.prepared(sent.password)
    except InvalidInput:
        return None
    return None if username.is_reserved else username
