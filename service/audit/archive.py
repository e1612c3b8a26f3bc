"""The whole audit trail, for those who may read it: the owner of the database."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from service.audit.chain import Chain, Head, Row
from service.errors import StartupError
from service.storage.migrations import require_current
from service.storage.postgres import reason_of

FIELDS: Final = """
    audit.id, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at,
    account_id, event, particulars::text, address, device, session,
    chain, audit.seq, encode(previous, 'hex') AS previous, encode(audit.hash, 'hex') AS hash
"""
NEWEST: Final = f"""
    SELECT {FIELDS} FROM audit
    WHERE %(account)s::bigint IS NULL OR account_id = %(account)s
    ORDER BY id DESC LIMIT %(limit)s
"""
# Also of a deleted one, as long as its name stays taken.
ACCOUNT: Final = "SELECT id FROM accounts WHERE canonical_username = %s"
# A chain may have lost its rows, or its head.
CHAINS: Final = f"""
    SELECT {FIELDS}, heads.seq AS head_seq, encode(heads.hash, 'hex') AS head_hash, pruned
    FROM audit FULL JOIN audit_heads AS heads USING (chain) ORDER BY chain, audit.seq
"""
OF_HEAD: Final = frozenset({"head_seq", "head_hash", "pruned"})
# Only what no younger row of its chain precedes: a chain loses its beginning, and gets no gap.
PRUNE: Final = """
    WITH batch AS (
        SELECT chain FROM audit_heads WHERE chain > %(after)s ORDER BY chain LIMIT %(chains)s
    ), kept AS (
        SELECT chain, min(seq) AS first FROM audit JOIN batch USING (chain)
        WHERE at >= now() - make_interval(secs => %(age)s) GROUP BY chain
    ), gone AS (
        DELETE FROM audit USING batch
        WHERE audit.chain = batch.chain AND at < now() - make_interval(secs => %(age)s)
            AND NOT EXISTS (
                SELECT FROM kept WHERE kept.chain = audit.chain AND kept.first < audit.seq
            )
        RETURNING audit.chain, seq
    ), ends AS (
        UPDATE audit_heads AS heads SET pruned = ended.seq
        FROM (SELECT chain, max(seq) AS seq FROM gone GROUP BY chain) AS ended
        WHERE heads.chain = ended.chain
    )
    SELECT (SELECT count(*) FROM gone), (SELECT max(chain) FROM batch)
"""
BATCH = 1000  # rows that are in memory at a time
# Whoever adds a row to a chain that is being pruned waits, and gets 503 after five seconds.
CHAINS_AT_A_TIME = 100
BEFORE_ALL: Final = -(2**63)


class Unreadable(StartupError):
    """Postgres does not answer."""


class Archive:
    """Reads and prunes the trail, over a connection without a limit of time."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def newest(self, limit: int, account_id: int | None = None) -> list[Row]:
        """The newest rows, of one account or of all, the newest first."""
        parameters = {"account": account_id, "limit": limit}
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(NEWEST, parameters).fetchall()

    def account_id(self, canonical_username: str) -> int | None:
        """The id of the account that has that name, even if it is deleted, or None."""
        row = self._connection.execute(ACCOUNT, (canonical_username,)).fetchone()
        return row[0] if row else None

    def chains(self) -> Iterator[Chain]:
        """Every chain, as it is now. Read the rows of each before the next: they are not in memory
        all at once."""
        for number, group in itertools.groupby(self._streamed(CHAINS), lambda row: row["chain"]):
            first = next(group)
            head = Head(first["head_seq"], first["head_hash"], first["pruned"])
            rows = (
                {name: value for name, value in row.items() if name not in OF_HEAD}
                for row in itertools.chain([first], group)
                if row["id"] is not None
            )
            yield Chain(number, rows, head if first["head_seq"] is not None else None)

    def prune(self, age: float) -> int:
        """Remove the rows that are older than `age` seconds, and commit, some chains at a time.
        Returns their number."""
        removed: int = 0
        after: int | None = BEFORE_ALL
        while True:
            parameters = {"age": age, "after": after, "chains": CHAINS_AT_A_TIME}
            count, after = self._connection.execute(PRUNE, parameters).fetchall()[0]
            self._connection.commit()
            removed += count
            if after is None:
                return removed

    def _streamed(self, query: Any) -> Iterator[Row]:
        with self._connection.cursor("audit", row_factory=dict_row) as cursor:
            cursor.itersize = BATCH
            yield from cursor.execute(query)


@contextmanager
def opened(database_url: str) -> Iterator[Archive]:
    """The archive, which only the owner of the database may read.

    Raises:
        DatabaseNotReady, Unreadable: with the reason in one line.
        psycopg.errors.InsufficientPrivilege: the role in the URL is not the owner's.
    """
    require_current(database_url)
    try:
        with psycopg.connect(database_url, connect_timeout=10) as connection:
            yield Archive(connection)
    except psycopg.errors.InsufficientPrivilege:
        raise
    except psycopg.Error as error:
        raise Unreadable(f"The audit trail cannot be read: {reason_of(error)}") from error
