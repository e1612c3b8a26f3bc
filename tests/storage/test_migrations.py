from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from service.storage.migrations import ADVISORY_LOCK, FILES, MigrationFailed, migrate
from tests.run import SharedPostgres

# Forked once everything is imported, so that they meet.
FOUR_STARTS = """
import os
import sys

from service.storage.migrations import migrate

if any(os.fork() == 0 for _ in range(4)):
    print(migrate(sys.argv[1]))
else:
    sys.exit(max(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(4)))
"""


@pytest.fixture
def empty(postgres_engine: SharedPostgres) -> Iterator[str]:
    """The URL of a database of its own, without tables."""
    database = f"{postgres_engine.database}_empty"
    name = sql.Identifier(database)
    with psycopg.connect(postgres_engine.superuser_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER coatcheck_owner").format(name))
        yield postgres_engine.url.replace(f"/{postgres_engine.database}?", f"/{database}?")
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def test_an_empty_database_gets_every_table_once(empty: str) -> None:
    assert migrate(empty) == [file.stem for file in sorted(FILES.glob("*.sql"))]
    assert migrate(empty) == []
    with psycopg.connect(empty) as connection:
        assert connection.execute("SELECT count(*) FROM accounts").fetchone() == (0,)


def test_of_several_containers_that_start_at_once_one_migrates(empty: str) -> None:
    command = [sys.executable, "-c", FOUR_STARTS, empty]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    names = [file.stem for file in sorted(FILES.glob("*.sql"))]
    assert sorted(done.stdout.splitlines()) == sorted(["[]", "[]", "[]", str(names)])


def test_a_migration_that_died_leaves_no_lock(empty: str) -> None:
    with psycopg.connect(empty, autocommit=True) as dying:
        dying.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))
        dying.pgconn.finish()
    assert migrate(empty)


def test_an_unreachable_database_is_one_line(empty: str) -> None:
    with pytest.raises(MigrationFailed) as caught:
        migrate("postgresql://nobody@localhost:1/nowhere")
    assert "\n" not in str(caught.value)
