"""Has Redis carry out the revocations that Postgres has recorded.

The statement that changes an account records what it revokes (service.accounts.changes), and the
same process delivers it. If Redis fails, or the process dies, any process completes it: a delivery
is safe to repeat, at any time and in any order, because it ends only sessions that are older than
its epoch. A session that one revocation keeps does not become newer: an earlier one that ends it
may still be on its way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from service.accounts.account import Account
from service.errors import DatabaseUnavailable, RevocationPending, SessionStoreUnavailable
from service.sessions.store import SessionStore
from service.storage.postgres import Postgres
from service.storage.redis_connections import RedisTimeBudget

log = structlog.get_logger()

DUE: Final = 2  # seconds; until then, the process that made the change is probably delivering it
KEPT: Final = 24 * 3600  # seconds that a delivered row stays
BATCH: Final = 500
# Failures that end a pass: then probably all of Redis is down, not one part of a cluster.
MOST_FAILURES: Final = 3

DELIVERED: Final = """
    UPDATE revocations SET delivered_at = now()
    WHERE locator = %s AND epoch = %s AND delivered_at IS NULL
"""
FORGET_DELIVERED: Final = f"""
    DELETE FROM revocations WHERE delivered_at < now() - make_interval(secs => {KEPT})
"""
# In random order, so that no row that fails again and again keeps others waiting.
PENDING: Final = f"""
    SELECT id, recorded_at < now() - make_interval(secs => {DUE})
    FROM revocations WHERE delivered_at IS NULL ORDER BY random() LIMIT {BATCH}
"""
TAKE: Final = """
    SELECT locator, epoch, kept FROM revocations
    WHERE id = %s AND delivered_at IS NULL FOR UPDATE SKIP LOCKED
"""


class Outbox:
    """Delivers revocations from Postgres to Redis."""

    def __init__(
        self, postgres: Postgres, sessions: SessionStore, wake: Callable[[], None]
    ) -> None:
        """
        Args:
            postgres: has the table.
            sessions: carries them out.
            wake: has `complete` called soon, and again until it returns True.
        """
        self._postgres = postgres
        self._sessions = sessions
        self._wake = wake

    def deliver(self, account: Account, keep: str | None = None) -> int:
        """Carry out the revocation that the change of `account` has just recorded.

        Args:
            account: as the change left it.
            keep: the digest of the session that goes on.

        Returns:
            How many sessions ended.

        Raises:
            RevocationPending: Redis does not answer; a chore completes it.
        """
        try:
            ended = self._sessions.revoke_all(account.locator, account.session_epoch, keep)
        except SessionStoreUnavailable as error:
            log.warning("revocation_pending", account_id=account.id)
            self._wake()
            raise RevocationPending from error
        try:
            with self._postgres.connection() as connection:
                connection.execute(DELIVERED, (account.locator, account.session_epoch))
        except DatabaseUnavailable:
            self._wake()  # it is delivered twice
        return ended

    def complete(self) -> bool:
        """Deliver what is due; returns whether nothing is left to deliver.

        Raises:
            DatabaseUnavailable: Postgres does not answer.
        """
        with self._postgres.connection() as connection:
            connection.execute(FORGET_DELIVERED)
            pending = connection.execute(PENDING).fetchall()
        failures = 0
        for number, is_due in pending:
            if is_due and not self._is_completed(number):
                failures += 1
                if failures == MOST_FAILURES:
                    break
        return not failures and len(pending) < BATCH and all(is_due for _, is_due in pending)

    def _is_completed(self, number: int) -> bool:
        """Deliver a revocation, unless another process does; returns whether that succeeded."""
        try:
            with self._postgres.connection() as connection, connection.transaction():
                row = connection.execute(TAKE, (number,)).fetchone()
                if row is None:
                    return True
                locator, epoch, kept = row
                with RedisTimeBudget():
                    ended = self._sessions.revoke_all(locator, epoch, kept)
                connection.execute(DELIVERED, (locator, epoch))
        except SessionStoreUnavailable:
            return False
        log.info("revocation_completed", ended=ended)
        return True
