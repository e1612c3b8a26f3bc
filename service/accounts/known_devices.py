"""The devices on which the owner of an account has signed in before.

Such a device has a random mark in a cookie, and the table has its SHA-256. A mark signs nobody in.
It gives the device an allowance of password attempts of its own, so that strangers who guess
cannot lock the owner out there. It counts only for the session epoch in which it was given, so
whatever ends all sessions of an account also makes its marks worthless, in the same statement.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from service.storage.postgres import Postgres

MARK_BYTES = 32
SHAPE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
PER_ACCOUNT = 20  # devices; a further one replaces the one that was not used for longest

USE: Final = """
    UPDATE known_devices SET last_used_at = now() FROM accounts
    WHERE account_id = accounts.id AND accounts.id = %(account)s AND digest = %(presented)s
        AND known_devices.session_epoch = coalesce(%(epoch)s, accounts.session_epoch)
"""
# A mark that was given for other accounts moves to the new one with them, so that one browser keeps
# one cookie. It is never adopted: somebody else may have planted it.
GIVE: Final = """
    WITH moved AS (
        UPDATE known_devices SET digest = %(new)s
        WHERE digest = %(presented)s AND account_id <> %(account)s
    ), dropped AS (
        DELETE FROM known_devices WHERE account_id = %(account)s AND digest IN (
            SELECT digest FROM known_devices WHERE account_id = %(account)s
            ORDER BY last_used_at DESC OFFSET %(others)s
        )
    )
    INSERT INTO known_devices (account_id, digest, session_epoch)
    SELECT id, %(new)s, coalesce(%(epoch)s, session_epoch) FROM accounts WHERE id = %(account)s
"""
DIGESTS: Final = "SELECT digest FROM known_devices WHERE account_id = %s"


@dataclass(frozen=True)
class Mark:
    """What the cookie of a device holds. Its `repr` hides it."""

    value: str = field(repr=False)

    @classmethod
    def new(cls) -> Mark:
        """A new, random mark."""
        return cls(secrets.token_urlsafe(MARK_BYTES))

    @classmethod
    def parse(cls, text: str) -> Mark | None:
        """The mark in `text`, or None if it has another shape; nobody need have given it."""
        return cls(text) if SHAPE.fullmatch(text) else None

    @cached_property
    def digest(self) -> bytes:
        """Its SHA-256: its name in Postgres."""
        return hashlib.sha256(self.value.encode("ascii")).digest()


class KnownDevices:
    """Remembers devices. Raises DatabaseUnavailable if Postgres does not answer."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def remember(self, account_id: int, epoch: int | None, presented: Mark | None) -> Mark:
        """Remember the device that its owner uses.

        Args:
            account_id: of the account.
            epoch: its session epoch when the owner proved who it is; None: the present one.
            presented: the mark that the device has, if any.

        Returns:
            The mark that the device must keep: its own if that is known for this account.
        """
        about = {
            "account": account_id,
            "epoch": epoch,
            "presented": presented.digest if presented else None,
        }
        with self._postgres.connection() as connection:
            if presented and connection.execute(USE, about).rowcount:
                return presented
            new = Mark.new()
            about |= {"new": new.digest, "others": PER_ACCOUNT - 1}
            connection.execute(GIVE, about)
        return new

    def digests(self, account_id: int) -> list[bytes]:
        """The digests of an account's marks, also of those that count no longer."""
        with self._postgres.connection() as connection:
            return [digest for (digest,) in connection.execute(DIGESTS, (account_id,)).fetchall()]
