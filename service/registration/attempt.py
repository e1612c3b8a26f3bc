"""One request to register, checked."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from functools import cached_property

from service.accounts import usernames
from service.accounts.usernames import Username
from service.credentials import passwords
from service.errors import FieldError, InvalidInput

KEY_SHAPE = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True)
class Attempt:
    """A valid username and password, and what makes a repetition recognisable."""

    username: Username
    password: str = field(repr=False)
    given_key: str | None = field(repr=False)

    @cached_property
    def key(self) -> str:
        """The client's Idempotency-Key, or one that is drawn."""
        return self.given_key or secrets.token_urlsafe(24)

    @cached_property
    def key_digest(self) -> str:
        """What row and cache keep of the key: 128 bits of its SHA-256, 32 hexadecimal digits."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:32]

    @cached_property
    def token(self) -> str:
        """For the claim: no other attempt has it, not even a repetition of this one."""
        return secrets.token_urlsafe(12)


def parse(raw_username: str, raw_password: str, key: str | None) -> Attempt:
    """Check everything and say all that is wrong at once.

    Args:
        raw_username: as typed.
        raw_password: as typed.
        key: the client's Idempotency-Key, if it sent one.

    Raises:
        InvalidInput: something cannot be accepted.
    """
    errors: list[FieldError] = []
    username = password = None
    try:
        username = usernames.parse(raw_username)
        if username.is_reserved:
            errors.append(FieldError("username", "reserved", "That username is reserved."))
    except InvalidInput as error:
        errors += error.errors
    try:
        password = passwords.check_new(raw_password)
    except InvalidInput as error:
        errors += error.errors
    if key is not None and not KEY_SHAPE.fullmatch(key):
        message = "An Idempotency-Key is 1 to 255 visible ASCII characters."
        errors.append(FieldError("Idempotency-Key", "malformed", message))
    if errors or username is None or password is None:
        raise InvalidInput(*errors)
    return Attempt(username, password, key)
