"""What a load costs a deployment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields

import psycopg

from kits.counters import cpu_seconds, redis_commands, settle, statements
from kits.load.deployment import Deployment

DEAD = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'accounts'"


@dataclass(frozen=True)
class Cost:
    """Counts since a deployment started, or between two readings."""

    selects: int = 0
    inserted: int = 0  # INSERTs that succeeded
    failed: int = 0  # statements, each of them an INSERT
    statements: int = 0  # all kinds, without transaction control
    transactions: int = 0
    hashes: int = 0
    commands: int = 0  # of Redis, including those in scripts
    cpu: float = 0.0  # seconds of gunicorn and Redis

    @property
    def inserts(self) -> int:
        """INSERTs that were attempted."""
        return self.inserted + self.failed

    def __sub__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def read(deployment: Deployment) -> Cost:
    """The cost so far; transactions and failed statements are complete only after `settle`."""
    url = deployment.database_url.replace(f"/{deployment.database}?", "/postgres?")
    counted = statements(url, deployment.database)
    return Cost(
        selects=counted.selects,
        inserted=counted.inserted,
        failed=counted.failed,
        statements=counted.total,
        transactions=counted.committed + counted.failed,
        hashes=deployment.hashes.stat().st_size,
        commands=redis_commands(deployment.redis),
        cpu=cpu_seconds(deployment.server.master.pid) + cpu_seconds(deployment.redis_pid),
    )


@contextmanager
def metered(deployments: Sequence[Deployment]) -> Iterator[dict[str, Cost]]:
    """Measure what the block costs, by strategy; filled in once Postgres has counted."""
    before = [read(deployment) for deployment in deployments]
    costs: dict[str, Cost] = {}
    yield costs
    settle()
    for deployment, earlier in zip(deployments, before, strict=True):
        costs[deployment.strategy.key] = read(deployment) - earlier


def dead_tuples(deployment: Deployment) -> int:
    """The dead rows that failed INSERTs have left since the last VACUUM."""
    with psycopg.connect(deployment.database_url, autocommit=True) as connection:
        connection.execute("ANALYZE accounts")
    with psycopg.connect(deployment.database_url, autocommit=True) as connection:
        row = connection.execute(DEAD).fetchone()
    return int(row[0]) if row else 0
