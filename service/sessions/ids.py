"""The session id: a public locator and a secret.

9 random bytes of locator and 32 random bytes of secret, base64url: 12 + 43 characters. All
sessions of one account share its locator, which is the Redis Cluster hash tag of their keys.
Only the SHA-256 of the id is stored (OWASP Session Management Cheat Sheet: an id has no
meaning, and nobody can recover it from the store).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

LOCATOR_BYTES, SECRET_BYTES = 9, 32
LOCATOR_LENGTH = 12
LONGEST_HEADER = 16 * 1024  # characters, more than a browser sends
BLANK = " \t"  # no other whitespace: U+00A0 may be part of a cookie's name
SHAPE = re.compile(r"[A-Za-z0-9_-]{55}", re.ASCII)


def new_locator() -> str:
    """The locator of a new account or of an anonymous session: 12 characters."""
    return secrets.token_urlsafe(LOCATOR_BYTES)


@dataclass(frozen=True)
class SessionId:
    """An id as the cookie holds it. Its `repr` hides the secret."""

    value: str = field(repr=False)

    @classmethod
    def new(cls, locator: str) -> SessionId:
        """A new, random id."""
        return cls(locator + secrets.token_urlsafe(SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> SessionId | None:
        """The id in `text`, or None if it has another shape; the session need not exist."""
        return cls(text) if SHAPE.fullmatch(text) else None

    @classmethod
    def from_cookies(cls, header: str, name: str) -> SessionId | None:
        """The id in the first cookie called `name` of a Cookie header, or None if there is none or
        its value has another shape."""
        value = cookie(header, name)
        return cls.parse(value) if value is not None else None

    @property
    def locator(self) -> str:
        """The public half, 12 characters."""
        return self.value[:LOCATOR_LENGTH]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the id, 64 hexadecimal digits: its name in Redis and its public handle."""
        return hashlib.sha256(self.value.encode("ascii")).hexdigest()


def cookie(header: str, name: str) -> str | None:
    """The value of the first cookie called `name` in a Cookie header (RFC 6265, section 4.2), or
    None if there is none or the header is too long."""
    if len(header) > LONGEST_HEADER:
        return None
    found = _cookie(name).search(header)
    return found[1].strip(BLANK) if found else None


@lru_cache
def _cookie(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|;)[ \t]*{re.escape(name)}[ \t]*=([^;]*)")
