"""A checked request to register."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from functools import cached_property

from service.accounts import usernames
from service.accounts.usernames import Username
from service.audit.entry import Entry, Event
from service.credentials.passwords import PreparedPassword
from service.credentials.policy import PasswordPolicy
from service.errors import FieldError, InvalidInput
from service.sessions.record import NOWHERE, Client

LONGEST_KEY = 255  # characters
KEY_SHAPE = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_KEY}}}")


@dataclass(frozen=True)
class Attempt:
    """A valid username and password, and the idempotency key that identifies a repetition."""

    username: Username
    password: PreparedPassword = field(repr=False)
    sent_idempotency_key: str | None = field(repr=False)
    client: Client = NOWHERE

    @cached_property
    def idempotency_key(self) -> str:
        """The one that the client sent, or a random one."""
        return self.sent_idempotency_key or secrets.token_urlsafe(24)

    @cached_property
    def key_digest(self) -> str:
        """What the row and the cache keep of the idempotency key: the first 128 bits of its
        SHA-256, in hexadecimal."""
        return hashlib.sha256(self.idempotency_key.encode()).hexdigest()[:32]

    @property
    def entry(self) -> Entry:
        """What the audit trail says if the attempt succeeds."""
        return Entry(Event.REGISTERED, client=self.client)

    @cached_property
    def token(self) -> str:
        """Identifies the claim. Not even a repeated request has the same token."""
        return secrets.token_urlsafe(12)


def parse(
    raw_username: str,
    raw_password: str,
    idempotency_key: str | None,
    policy: PasswordPolicy,
    client: Client = NOWHERE,
) -> Attempt:
    """Check everything, and report all that is wrong at once.

    Args:
        raw_username: as typed.
        raw_password: as typed.
        idempotency_key: the one that the client sent, if any.
        policy: for the password.
        client: where the request comes from.

    Raises:
        InvalidInput: the input is unacceptable.
    """
    errors: list[FieldError] = []
    username = password = None
    try:
        username = usernames.parse(raw_username)
        if username.is_reserved:
            errors.append(FieldError("username", "reserved"))
    except InvalidInput as error:
        errors += error.errors
    try:
        password = policy.check(raw_password, username.canonical if username else "")
    except InvalidInput as error:
        errors += error.errors
    if idempotency_key is not None and not KEY_SHAPE.fullmatch(idempotency_key):
        errors.append(FieldError("Idempotency-Key", "malformed", {"limit": LONGEST_KEY}))
    if errors or username is None or password is None:
        raise InvalidInput(*errors)
    return Attempt(username, password, idempotency_key, client)
