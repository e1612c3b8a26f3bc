"""What a load cost, read where it was spent: in Postgres, in Redis, in argon2, in the kernel."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields

import httpx
import psutil
import psycopg
from redis import Redis

from kits.load.testbed import Entrant

# A backend that has gone quiet hands its counts in after so long (PGSTAT_IDLE_INTERVAL).
STATISTICS_DELAY = 10.5
METRIC = "coatcheck_password_hashes_total"

# A statement that failed is missing in pg_stat_statements; but each of these took its
# transaction with it, and is counted as one that was rolled back.
STATEMENTS = """
    SELECT coalesce(sum(calls), 0)::bigint,
           coalesce(sum(calls) FILTER (WHERE query ~* '^\\s*SELECT'), 0)::bigint,
           coalesce(sum(calls) FILTER (WHERE query ~* '^\\s*INSERT INTO accounts'), 0)::bigint
    FROM pg_stat_statements
    JOIN pg_database d ON d.oid = dbid JOIN pg_roles r ON r.oid = userid
    WHERE datname = %s AND rolname = 'coatcheck' AND query !~ '^SELECT \\$1$'
"""
TRANSACTIONS = "SELECT xact_commit, xact_rollback FROM pg_stat_database WHERE datname = %s"
DEAD = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'accounts'"


@dataclass(frozen=True)
class Cost:
    """Counts since the start of an entrant, or between two readings."""

    selects: int = 0
    inserted: int = 0  # INSERTs that succeeded
    failed: int = 0  # statements, each of them an INSERT
    statements: int = 0  # those, and every other; without transaction control
    transactions: int = 0
    hashes: int = 0
    commands: int = 0  # of Redis; those inside of scripts included
    cpu: float = 0.0  # seconds of gunicorn and Redis

    @property
    def inserts(self) -> int:
        """Attempts."""
        return self.inserted + self.failed

    def __sub__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def settle() -> None:
    """Wait until Postgres has counted everything: before the first reading, too, or what came
    earlier, like the start of a worker, is taken for part of the load."""
    time.sleep(STATISTICS_DELAY)


def read(entrant: Entrant) -> Cost:
    """Transactions and failed statements are complete after `settle` only."""
    # Asked in another database, which keeps the asking out of the count.
    url = entrant.database_url.replace(f"/{entrant.database}?", "/postgres?")
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(STATEMENTS, (entrant.database,)).fetchone() or (0, 0, 0)
        done, failed = connection.execute(TRANSACTIONS, (entrant.database,)).fetchone() or (0, 0)
    statements, selects, inserted = row
    return Cost(
        selects=selects,
        inserted=inserted,
        failed=failed,
        statements=statements + failed,
        transactions=done + failed,
        hashes=entrant.hashes.stat().st_size,
        commands=redis_commands(entrant.redis),
        cpu=_cpu(entrant),
    )


def dead_tuples(entrant: Entrant) -> int:
    """What failed INSERTs have left in the table since the last VACUUM."""
    with psycopg.connect(entrant.database_url, autocommit=True) as connection:
        connection.execute("ANALYZE accounts")
    with psycopg.connect(entrant.database_url, autocommit=True) as connection:
        row = connection.execute(DEAD).fetchone()
    return int(row[0]) if row else 0


def published_hashes(url: str) -> int:
    """What the service there says itself, at /metrics."""
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return round(sum(float(line.split()[-1]) for line in lines if line.startswith(METRIC)))


@contextmanager
def metered(entrants: Sequence[Entrant]) -> Iterator[dict[str, Cost]]:
    """What is done inside, by way: filled in at the end, when Postgres has counted."""
    before = [read(entrant) for entrant in entrants]
    costs: dict[str, Cost] = {}
    yield costs
    settle()
    for entrant, earlier in zip(entrants, before, strict=True):
        costs[entrant.way.key] = read(entrant) - earlier


def redis_commands(redis: Redis) -> int:
    """Commands that a Redis has carried out; those inside of scripts included."""
    counts = redis.info("commandstats")
    ignored = ("cmdstat_info", "cmdstat_flushall", "cmdstat_select", "cmdstat_client")
    return sum(each["calls"] for name, each in counts.items() if not name.startswith(ignored))


def _cpu(entrant: Entrant) -> float:
    master = entrant.server.master
    processes = [master, *master.children(), psutil.Process(entrant.redis_pid)]
    return sum(sum(process.cpu_times()[:2]) for process in processes)
