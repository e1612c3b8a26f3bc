"""The devices on which the owner of an account has signed in before.

Such a device has a random mark in a cookie, and the table has its SHA-256. A mark signs nobody in.
It gives the device an allowance of password attempts of its own, so that strangers who guess
cannot lock the owner out there. So only a proof of the password earns one, and it belongs to one
account: if several people share a browser, the cookie holds a mark for each.

A mark counts only for the session epoch in which it was given, so whatever ends all sessions of an
account also makes its marks worthless, in the same statement. Only the device that signs out the
others keeps its mark (`REVOKE_SESSIONS` in service.accounts.changes): the same one, because its
allowance is counted by it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from service.storage.postgres import Connection, Postgres

MARK_BYTES = 32
PER_COOKIE = 5  # marks; a further one replaces the oldest
LONGEST = PER_COOKIE * 44 - 1  # characters: 43 for each mark, and the dots between them
SHAPE = re.compile(r"[A-Za-z0-9_-]{43}(\.[A-Za-z0-9_-]{43})*", re.ASCII)
PER_ACCOUNT = 20  # devices; a further one replaces the one that was not used for longest

USE: Final = """
    UPDATE known_devices SET last_used_at = now()
    WHERE account_id = %(account)s AND digest = ANY(%(presented)s) AND session_epoch = %(epoch)s
"""
GIVE: Final = """
    WITH account AS (
        SELECT id FROM accounts WHERE id = %(account)s AND session_epoch = %(epoch)s
    ), dropped AS (
        DELETE FROM known_devices USING account WHERE account_id = id AND digest IN (
            SELECT digest FROM known_devices WHERE account_id = %(account)s
            ORDER BY last_used_at DESC OFFSET %(others)s
        )
    )
    INSERT INTO known_devices (account_id, digest, session_epoch)
    SELECT id, %(new)s, %(epoch)s FROM account
"""
FORGET_OUTDATED: Final = """
    DELETE FROM known_devices
    WHERE account_id = %(account)s AND digest = ANY(%(presented)s) AND session_epoch < %(epoch)s
    RETURNING digest
"""
DIGESTS: Final = "SELECT digest FROM known_devices WHERE account_id = %s"


@dataclass(frozen=True)
class Mark:
    """What a device has for one account. Its `repr` hides it."""

    value: str = field(repr=False)

    @classmethod
    def new(cls) -> Mark:
        """A new, random mark."""
        return cls(secrets.token_urlsafe(MARK_BYTES))

    @cached_property
    def digest(self) -> bytes:
        """Its SHA-256: its name in Postgres."""
        return hashlib.sha256(self.value.encode("ascii")).digest()


Marks = tuple[Mark, ...]  # of one browser, the oldest first


def parse(cookie: str) -> Marks:
    """The marks in a cookie; none if it has another shape. Nobody need have given them."""
    if len(cookie) > LONGEST or not SHAPE.fullmatch(cookie):
        return ()
    return tuple(map(Mark, cookie.split(".")))


def joined(marks: Marks) -> str:
    """The cookie that holds these marks."""
    return ".".join(mark.value for mark in marks)


def digests(marks: Iterable[Mark]) -> list[bytes]:
    """The names of these marks in Postgres."""
    return [mark.digest for mark in marks]


class KnownDevices:
    """Remembers devices. Raises DatabaseUnavailable if Postgres does not answer."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def remember(self, account_id: int, epoch: int, presented: Marks = ()) -> Marks:
        """Remember the device on which the owner of an account has just proved who it is.

        A mark is never adopted: somebody else may have planted it.

        Args:
            account_id: of the account.
            epoch: its session epoch at that proof. If it has risen, the device gets nothing.
            presented: the marks that the device has.

        Returns:
            The marks that the device must keep.
        """
        about = {"account": account_id, "epoch": epoch, "presented": digests(presented)}
        with self._postgres.connection() as connection:
            if presented and connection.execute(USE, about).rowcount:
                return presented
            return self._give(connection, about, presented)

    def digests(self, account_id: int) -> list[bytes]:
        """The digests of an account's marks, also of those that count no longer."""
        with self._postgres.connection() as connection:
            return [digest for (digest,) in connection.execute(DIGESTS, (account_id,)).fetchall()]

    def _give(self, connection: Connection, about: dict[str, Any], presented: Marks) -> Marks:
        new = Mark.new()
        given = connection.execute(GIVE, about | {"new": new.digest, "others": PER_ACCOUNT - 1})
        if not given.rowcount:
            return presented
        outdated = {bytes(digest) for (digest,) in connection.execute(FORGET_OUTDATED, about)}
        kept = [mark for mark in presented if mark.digest not in outdated]
        return (*kept, new)[-PER_COOKIE:]
