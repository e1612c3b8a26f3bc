"""The accounts table: every SQL statement of the service, one method each."""

from __future__ import annotations

from typing import Any, Final

from service.accounts.account import Account, Member
from service.accounts.usernames import Username
from service.storage.postgres import Postgres

ACCOUNT: Final = "id, username, session_locator, session_epoch, created_at"

# A rival's row that is not committed yet makes this wait for its commit or rollback.
INSERT: Final = f"""
    INSERT INTO accounts (username, canonical_username, password_hash, session_locator)
    VALUES (%s, %s, %s, %s)
    ON CONFLICT (canonical_username) DO NOTHING
    RETURNING {ACCOUNT}
"""
IS_TAKEN: Final = "SELECT EXISTS (SELECT FROM accounts WHERE canonical_username = %s)"
CREDENTIALS: Final = f"""
    SELECT {ACCOUNT}, password_hash FROM accounts
    WHERE canonical_username = %s AND disabled_at IS NULL
"""
# Only over the hash that was verified: a password changed meanwhile must stay changed.
REHASH: Final = "UPDATE accounts SET password_hash = %s WHERE id = %s AND password_hash = %s"
NEWEST: Final = """
    SELECT id, username, created_at FROM accounts
    WHERE disabled_at IS NULL AND (%(before)s::bigint IS NULL OR id < %(before)s)
    ORDER BY id DESC LIMIT %(limit)s
"""


class AccountRepository:
    """Reads and writes accounts. Every method raises DatabaseUnavailable, within a bounded time,
    if Postgres does not answer."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def insert(self, username: Username, password_hash: str, locator: str) -> Account | None:
        """Add an account and commit. None if the name is taken by a committed row."""
        with self._postgres.connection() as connection:
            row = connection.execute(
                INSERT, (username.spelling, username.canonical, password_hash, locator)
            ).fetchone()
        return _account(row) if row else None

    def is_taken(self, username: Username) -> bool:
        """Whether a committed row has the name."""
        return bool(self._fetch_one(IS_TAKEN, (username.canonical,))[0])

    def credentials(self, username: Username) -> tuple[Account, str] | None:
        """An account that is not disabled, with its password hash, as of one moment."""
        row = self._fetch_one(CREDENTIALS, (username.canonical,))
        return (_account(row[:-1]), row[-1]) if row else None

    def replace_hash(self, account_id: int, old: str, new: str) -> None:
        """Put `new` in the place of `old`; does nothing if the password changed meanwhile."""
        with self._postgres.connection() as connection:
            connection.execute(REHASH, (new, account_id, old))

    def newest_members(self, limit: int, before: int | None) -> list[Member]:
        """Up to `limit` members, newest first; with `before`, an account id, only older ones."""
        with self._postgres.connection() as connection:
            rows = connection.execute(NEWEST, {"before": before, "limit": limit}).fetchall()
        return [Member(*row) for row in rows]

    def _fetch_one(self, statement: Any, parameters: tuple[Any, ...]) -> Any:
        with self._postgres.connection() as connection:
            return connection.execute(statement, parameters).fetchone()


def _account(row: Any) -> Account:
    return Account(*row)
