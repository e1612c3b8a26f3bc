"""Revoked is revoked, a thousand times: `python -m kits.races.revocation --attempts 1000`.

The attempts are those of tests/guarantees/test_revocation.py: a request that waits in its view
while its session ends, a login that waits while the password changes, and concurrent writes of
different keys. They run in one process, on a Postgres and a Redis of the kit's own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
from flask import Flask
from redis import Redis

import config
from kits.command import exit_on_sigterm, say
from kits.engines import forget_settings
from kits.report import TIMES, Report
from kits.verdict import Verdict
from service import create_app
from service.embedded import PostgresEngine, RedisEngine
from service.storage.migrations import migrate
from service.web.services import services_of
from tests.guarantees.overtaken import (
    BOB,
    ENDINGS,
    REVOKED,
    VIEWS,
    Stores,
    add_parked_views,
    concurrent_writes,
    late_login,
    parked_request,
)


def verdicts(app: Flask, stores: Stores, attempts: int) -> Iterator[Verdict]:
    """Repeat each attempt, and compare every result with the only correct one."""
    parking = add_parked_views(app)
    bob = app.test_client()
    bob.post("/api/v1/accounts", json=BOB)
    target = "the old password gets 401 and no cookie"
    yield _repeat("late login", target, attempts, (401, False), lambda _: late_login(app, bob))

    def lost_writes(value: int) -> frozenset[str]:
        return frozenset(concurrent_writes(app, bob, value))

    yield _repeat("concurrent writes", "none is lost", attempts, frozenset[str](), lost_writes)
    target = "401 for the ended session, 200 for the waiting request, then 401 again"
    for ending in ENDINGS:
        for view in VIEWS:
            attempt = partial(parked_request, app, parking, stores, ending, view)
            subject = f"{ending} during a request, session {view}"
            yield _repeat(subject, target, attempts, REVOKED, lambda _, attempt=attempt: attempt())


def _repeat(
    subject: str,
    target: str,
    attempts: int,
    expected: Hashable,
    attempt: Callable[[int], Hashable],
) -> Verdict:
    results = Counter(attempt(number) for number in range(attempts))
    wrong = ", ".join(
        f"{n} {TIMES} {result}" for result, n in results.items() if result != expected
    )
    measured = wrong or f"{attempts} of {attempts}"
    return Verdict(subject, target, measured, not wrong)


@contextmanager
def application() -> Iterator[tuple[Flask, Stores]]:
    with (
        tempfile.TemporaryDirectory(prefix="coatcheck-revocation-") as path,
        PostgresEngine(Path(path) / "postgres", durable=False) as postgres,
        RedisEngine(Path(path) / "redis", durable=False) as engine,
        Redis.from_url(engine.url, protocol=2) as redis,
    ):
        migrate(postgres.url)
        database = psycopg.connect(postgres.url, autocommit=True)
        environ = {"COATCHECK_ENV": "testing", "COATCHECK_LOG_LEVEL": "warning"}
        environ["COATCHECK_THROTTLING"] = "off"
        environ |= {"DATABASE_URL": postgres.service_url, "REDIS_URL": engine.url}
        app = create_app(config.load(environ))
        app.testing = True
        try:
            yield app, Stores(redis, database)
        finally:
            database.close()
            services_of(app).close()


def main() -> int:
    """Run every attempt; returns the exit status."""
    exit_on_sigterm()
    forget_settings()
    parser = argparse.ArgumentParser(prog="python -m kits.races.revocation", description=__doc__)
    parser.add_argument("--attempts", type=int, default=1000, help="of each kind")
    parser.add_argument("--output", type=Path, default=Path(".data/races"), help="a directory")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    report = Report("Revoked is revoked")
    with application() as (app, stores):
        for verdict in verdicts(app, stores, options.attempts):
            say(str(verdict))
            report.judge([verdict])
    report.publish(options.output / "revocation.md")
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
