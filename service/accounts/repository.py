"""The accounts table: one method for each SQL statement."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from service.accounts.account import Account, Credentials, Member
from service.accounts.changes import (
    ACCOUNT,
    CHANGE_PASSWORD,
    DISABLE,
    ENABLE,
    INSERT,
    RETIRE,
    RETIRE_BY_NAME,
    REVOKE_SESSIONS,
)
from service.accounts.known_devices import Mark, digests
from service.accounts.usernames import Username
from service.audit.entry import Entry
from service.storage.postgres import Postgres

REGISTERED: Final = """
    SELECT canonical_username,
           CASE WHEN created_at > now() - interval '1 day' THEN registration_key ELSE '' END,
           extract(epoch FROM retired_at + make_interval(secs => %s) - now())::float
    FROM accounts WHERE canonical_username = ANY(%s)
"""
WITH_HASH: Final = f"""
    SELECT {ACCOUNT} FROM accounts WHERE canonical_username = %s AND password_hash = %s
"""
CREDENTIALS: Final = f"""
    SELECT {ACCOUNT}, password_hash, (
        SELECT encode(digest, 'hex') FROM known_devices device
        WHERE device.account_id = accounts.id AND device.digest = ANY(%s)
            AND device.session_epoch = accounts.session_epoch
        LIMIT 1
    )
    FROM accounts
    WHERE canonical_username = %s AND disabled_at IS NULL AND retired_at IS NULL
"""
CREDENTIALS_BY_ID: Final = f"""
    SELECT {ACCOUNT}, password_hash FROM accounts
    WHERE id = %s AND disabled_at IS NULL AND retired_at IS NULL
"""
FIND: Final = f"""
    SELECT {ACCOUNT}, disabled_at FROM accounts
    WHERE canonical_username = %s AND retired_at IS NULL
"""
# Replaces only the hash that was verified, and so never undoes a change of the password.
REHASH: Final = "UPDATE accounts SET password_hash = %s WHERE id = %s AND password_hash = %s"
NEWEST: Final = """
    SELECT id, username, created_at FROM accounts
    WHERE disabled_at IS NULL AND retired_at IS NULL
        AND (%(before)s::bigint IS NULL OR id < %(before)s)
    ORDER BY id DESC LIMIT %(limit)s
"""
NEWEST_DISABLED: Final = """
    SELECT id, username, created_at FROM accounts
    WHERE disabled_at IS NOT NULL AND retired_at IS NULL
    ORDER BY id DESC LIMIT %s
"""
RELEASE: Final = """
    DELETE FROM accounts WHERE retired_at < now() - make_interval(secs => %s)
"""


@dataclass(frozen=True)
class Registered:
    """A committed row that has a name."""

    key_digest: str  # of the idempotency key with which it was registered; empty after a day
    quarantine_left: float | None  # seconds; None: not retired


class AccountRepository:
    """Reads and writes accounts. Every method raises DatabaseUnavailable within a bounded time if
    Postgres does not answer."""

    def __init__(self, postgres: Postgres, quarantine: float) -> None:
        """
        Args:
            postgres: has the table.
            quarantine: seconds for which the name of a deleted account stays taken.
        """
        self._postgres = postgres
        self._quarantine = quarantine

    def insert(
        self,
        username: Username,
        password_hash: str,
        locator: str,
        key_digest: str,
        entry: Entry,
    ) -> Account | None:
        """Add an account and commit; None if a committed row has the name."""
        return self._changed(
            INSERT,
            entry,
            username=username.spelling,
            canonical=username.canonical,
            hash=password_hash,
            locator=locator,
            key=key_digest,
        )

    def registered(self, username: Username) -> Registered | None:
        """The committed row that has the name, retired or not."""
        return self.registered_among([username]).get(username.canonical)

    def registered_among(self, usernames: Collection[Username]) -> dict[str, Registered]:
        """The committed rows that have any of these names, retired or not, by canonical name."""
        names = [username.canonical for username in usernames]
        with self._postgres.connection() as connection:
            rows = connection.execute(REGISTERED, (self._quarantine, names)).fetchall()
        return {name: Registered(key_digest, left) for name, key_digest, left in rows}

    def with_hash(self, username: Username, password_hash: str) -> Account | None:
        """The account with exactly this name and hash."""
        return self._account(WITH_HASH, (username.canonical, password_hash))

    def credentials(self, username: Username, marks: Collection[Mark] = ()) -> Credentials | None:
        """An account that is neither disabled nor deleted, its password hash, and which of `marks`
        is that of a known device."""
        row = self._fetch_one(CREDENTIALS, (digests(marks), username.canonical))
        return Credentials(Account(*row[:-2]), *row[-2:]) if row else None

    def credentials_of(self, account_id: int) -> Credentials | None:
        """The same, by account id."""
        found = self._account_and_more(CREDENTIALS_BY_ID, account_id)
        return Credentials(*found) if found else None

    def find(self, username: Username) -> tuple[Account, datetime | None] | None:
        """An account, if it exists, and when it was disabled, if it is."""
        return self._account_and_more(FIND, username.canonical)

    def change_password(self, account_id: int, old: str, new: str, entry: Entry) -> Account | None:
        """Replace the hash `old` with `new`, and revoke every session; None if `old` is no longer
        the account's hash, or the account is disabled."""
        return self._changed(CHANGE_PASSWORD, entry, id=account_id, old=old, new=new)

    def revoke_sessions(
        self,
        account_id: int,
        entry: Entry,
        keep: str | None = None,
        marks: Collection[Mark] = (),
    ) -> Account | None:
        """Raise the session epoch, so that sign-ins under way come too late, and revoke every
        session but the one with the digest `keep`, and every known device but that of `marks`."""
        return self._changed(REVOKE_SESSIONS, entry, keep, id=account_id, marks=digests(marks))

    def disable(self, username: Username, entry: Entry) -> Account | None:
        """Reject sign-ins from now on and revoke every session, even if already disabled."""
        return self._changed(DISABLE, entry, canonical=username.canonical)

    def enable(self, username: Username, entry: Entry) -> Account | None:
        """Accept sign-ins again."""
        return self._changed(ENABLE, entry, canonical=username.canonical)

    def replace_hash(self, account_id: int, old: str, new: str) -> None:
        """Replace the hash `old` with `new`, if `old` is still the account's hash."""
        with self._postgres.connection() as connection:
            connection.execute(REHASH, (new, account_id, old))

    def newest_members(self, limit: int, before: int | None) -> list[Member]:
        """Up to `limit` members, newest first; with `before`, an account id, only older ones."""
        with self._postgres.connection() as connection:
            rows = connection.execute(NEWEST, {"before": before, "limit": limit}).fetchall()
        return [Member(*row) for row in rows]

    def newest_disabled(self, limit: int) -> list[Member]:
        """Up to `limit` disabled accounts, newest first."""
        with self._postgres.connection() as connection:
            rows = connection.execute(NEWEST_DISABLED, (limit,)).fetchall()
        return [Member(*row) for row in rows]

    def retire(self, account_id: int, entry: Entry) -> Account | None:
        """Empty an account, keep its name taken and revoke every session. None if there is no such
        account, or it is retired and all its revocations are delivered."""
        return self._changed(RETIRE, entry, id=account_id)

    def retire_by_name(self, username: Username, entry: Entry) -> Account | None:
        """The same, by name."""
        return self._changed(RETIRE_BY_NAME, entry, canonical=username.canonical)

    def release_retired(self) -> int:
        """Free the names whose quarantine is over, and return their number. Several processes may
        do this at once."""
        with self._postgres.connection() as connection:
            return connection.execute(RELEASE, (self._quarantine,)).rowcount

    def _changed(
        self, statement: str, entry: Entry, kept: str | None = None, **parameters: object
    ) -> Account | None:
        """Carry out a statement of service.accounts.changes."""
        row = self._fetch_one(statement, entry.columns | {"kept": kept} | parameters)
        return Account(*row) if row else None

    def _account(self, statement: str, parameters: tuple[Any, ...]) -> Account | None:
        row = self._fetch_one(statement, parameters)
        return Account(*row) if row else None

    def _account_and_more(self, statement: str, parameter: int | str) -> tuple[Account, Any] | None:
        """An account, and the last column of its row."""
        row = self._fetch_one(statement, (parameter,))
        return (Account(*row[:-1]), row[-1]) if row else None

    def _fetch_one(self, statement: Any, parameters: tuple[Any, ...] | dict[str, Any]) -> Any:
        with self._postgres.connection() as connection:
            return connection.execute(statement, parameters).fetchone()
