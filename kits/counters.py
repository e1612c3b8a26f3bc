"""Counters that show where a load was spent: in Postgres, in Redis, in argon2, on the CPU."""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpx
import psutil
import psycopg
from redis import Redis

# An idle backend reports its counts after this time (PGSTAT_IDLE_INTERVAL).
STATISTICS_DELAY = 10.5  # seconds
HASHES_METRIC = "coatcheck_password_hashes_total"

# pg_stat_statements leaves out a statement that failed. Each of those rolls its transaction back,
# so the rolled-back transactions count them.
STATEMENTS = """
    SELECT coalesce(sum(calls), 0)::bigint,
           coalesce(sum(calls) FILTER (WHERE query ~* '^\\s*SELECT'), 0)::bigint,
           coalesce(sum(calls) FILTER (
               WHERE query ~* '^\\s*(WITH account AS \\(\\s*)?INSERT INTO accounts'
           ), 0)::bigint
    FROM pg_stat_statements
    JOIN pg_database d ON d.oid = dbid JOIN pg_roles r ON r.oid = userid
    WHERE datname = %s AND rolname = 'coatcheck' AND query !~ '^SELECT \\$1$'
"""
TRANSACTIONS = "SELECT xact_commit, xact_rollback FROM pg_stat_database WHERE datname = %s"


@dataclass(frozen=True)
class Statements:
    """What the service's role has sent to one database, without transaction control."""

    selects: int
    inserted: int  # INSERTs that succeeded
    succeeded: int  # of any kind
    failed: int
    committed: int  # transactions

    @property
    def total(self) -> int:
        return self.succeeded + self.failed


def settle() -> None:
    """Wait until Postgres has counted everything. Also needed before the first reading, or earlier
    work, such as the start of a worker, counts as part of the load."""
    time.sleep(STATISTICS_DELAY)


def statements(superuser_url: str, database: str) -> Statements:
    """Read the counts for `database`; transactions and failures are complete only after `settle`.

    Args:
        superuser_url: of another database, so that the reading itself is not counted.
        database: the name.
    """
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        row = connection.execute(STATEMENTS, (database,)).fetchone() or (0, 0, 0)
        committed, failed = connection.execute(TRANSACTIONS, (database,)).fetchone() or (0, 0)
    succeeded, selects, inserted = row
    return Statements(selects, inserted, succeeded, failed, committed)


def published_hashes(url: str, kind: str = "") -> int:
    """The number of hashes that the service itself reports at /metrics.

    Args:
        url: of the service.
        kind: `hash` or `verify`; by default both.
    """
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    prefix = f'{HASHES_METRIC}{{kind="{kind}'
    values = [float(line.split()[-1]) for line in lines if line.startswith(prefix)]
    return round(sum(values))


def redis_commands(redis: Redis) -> int:
    """The number of commands that a Redis has executed, including those in scripts."""
    counts = redis.info("commandstats")
    ignored = ("cmdstat_info", "cmdstat_flushall", "cmdstat_select", "cmdstat_client")
    return sum(each["calls"] for name, each in counts.items() if not name.startswith(ignored))


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process and its children, including those that have ended."""
    parent = psutil.Process(pid)
    spent = 0.0
    for process in [parent, *parent.children(recursive=True)]:
        try:
            spent += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue  # its parent now counts its time
    return spent
