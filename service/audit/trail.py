"""Writes the audit trail, and shows owners their part of it.

What Postgres itself changes has its entry in the same statement (`ENTRY_OF_ACCOUNT`). Everything
else is written right after it has happened. If Postgres does not answer then, the entry waits in
memory, and a chore writes it later. What cannot be kept is logged as an error. What a killed
process still held is lost; its log lines remain.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
import structlog

from service import metrics
from service.audit.entry import Entry, emit
from service.errors import DatabaseUnavailable
from service.storage.postgres import Postgres

log = structlog.get_logger()

MOST_WAITING = 1000  # entries

# A part of a statement with a row `account`, that it has changed; parameters: `Entry.columns`.
ENTRY_OF_ACCOUNT: Final = """
    INSERT INTO audit (account_id, event, particulars, address, device, session)
    SELECT id, %(event)s, %(particulars)s, %(address)s, %(device)s, %(session)s FROM account
"""
WRITE: Final = """
    INSERT INTO audit (at, account_id, event, particulars, address, device, session)
    VALUES (coalesce(%(at)s, now()), %(account_id)s, %(event)s, %(particulars)s, %(address)s,
            %(device)s, %(session)s)
"""
ACTIVITY: Final = """
    SELECT id, at, event, particulars, address, device, session
    FROM account_activity(%s, %s, %s)
"""


@dataclass(frozen=True)
class Activity:
    """An entry as the owner of the account sees it."""

    id: int
    at: datetime
    event: str
    particulars: dict[str, Any]
    address: str
    device: str
    session: str | None


class AuditTrail:
    """Adds entries, and never waits longer for Postgres than one statement may take."""

    def __init__(self, postgres: Postgres, wake: Callable[[], None]) -> None:
        """
        Args:
            postgres: has the table.
            wake: has `write_waiting` called soon, and again until it returns True.
        """
        self._postgres = postgres
        self._wake = wake
        self._waiting: deque[Entry] = deque()
        self._writing = threading.Lock()

    def record(self, entry: Entry) -> None:
        """Count, log and write what has just happened.

        While entries wait, this one waits behind them: only the first request of an outage finds
        out that Postgres does not answer.
        """
        emit(entry)
        if self._waiting or not self._is_settled(entry):
            self._keep(replace(entry, at=datetime.now(UTC)))
            self._wake()

    def write_waiting(self) -> bool:
        """Write the entries that wait; returns whether none is left."""
        with self._writing:
            return self._are_written()

    def close(self) -> None:
        """Write what waits, or log it: the process ends."""
        with self._writing:  # the chore may still be writing
            if not self._are_written():
                while self._waiting:
                    _lose(self._waiting.popleft(), "the process ends")

    def activity(self, account_id: int, limit: int, before: int | None = None) -> list[Activity]:
        """Up to `limit` entries about an account, newest first; with `before`, the id of an entry,
        only older ones.

        Raises:
            DatabaseUnavailable: Postgres does not answer.
        """
        with self._postgres.connection() as connection:
            rows = connection.execute(ACTIVITY, (account_id, before, limit)).fetchall()
        return [Activity(*row) for row in rows]

    def _are_written(self) -> bool:
        """Write the entries that wait, under the lock; returns whether none is left."""
        while self._waiting:
            if not self._is_settled(self._waiting[0]):
                return False
            self._waiting.popleft()
            metrics.AUDIT_DELAYED.labels("written").inc()
        return True

    def _is_settled(self, entry: Entry) -> bool:
        """Write an entry; returns whether that is over. If the answer of Postgres was lost, the
        entry may be there already. It is written again, because two are better than none."""
        try:
            with self._postgres.connection() as connection:
                connection.execute(WRITE, entry.columns)
        except DatabaseUnavailable:
            return False
        except psycopg.Error as error:  # another attempt would end in the same way
            _lose(entry, type(error).__name__)
        return True

    def _keep(self, entry: Entry) -> None:
        if len(self._waiting) >= MOST_WAITING:
            _lose(entry, "too many wait")
        else:
            self._waiting.append(entry)
            metrics.AUDIT_DELAYED.labels("waiting").inc()


def _lose(entry: Entry, reason: str) -> None:
    metrics.AUDIT_DELAYED.labels("lost").inc()
    fields = entry.columns | {"at": str(entry.at), "particulars": dict(entry.particulars)}
    log.error("audit_entry_lost", why=reason, entry=fields)
