"""Postgres as the kits run it, and the environment of what they start."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg

from service.embedded import PostgresEngine

WORKERS = 2  # one for each core of the machine that the targets are set for
PRODUCTION = "production"  # an environment in which a hash costs what it costs in production
PUBLIC_URL = "http://localhost"  # which production needs, and which no program is asked for

COUNTING = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track_utility": "off",  # BEGIN and COMMIT are counted as transactions
}


@contextmanager
def counting_postgres(directory: Path, settings: Mapping[str, str]) -> Iterator[PostgresEngine]:
    """Run a Postgres with pg_stat_statements, which `settings` must preload."""
    postgres = PostgresEngine(directory)
    with postgres, psycopg.connect(postgres.superuser_url, autocommit=True) as connection:
        for name, value in settings.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
    with postgres:
        with psycopg.connect(postgres.superuser_url) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        yield postgres


def forget_settings() -> None:
    """Remove a developer's own settings from the environment, so that no kit measures them."""
    for name in [name for name in os.environ if name.startswith("COATCHECK_")]:
        del os.environ[name]
