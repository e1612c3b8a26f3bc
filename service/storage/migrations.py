"""Applies numbered SQL files with yoyo, in one process at a time."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg.errors import InsufficientPrivilege, UndefinedTable

from service.errors import StartupError
from service.storage.postgres import BoundedConnection, reason_of

FILES = Path(__file__).parent / "schema"
GRANTS = Path(__file__).parent / "grants.sql"
SERVICE_ROLE = "coatcheck_service"
# Temporary tables could stand in for those that a function of the owner reads.
NO_TEMPORARY_TABLES = """
    DO $$ BEGIN
        EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    END $$
"""
# An arbitrary number that every process uses.
ADVISORY_LOCK = 0x636F6174
LOCK_TIMEOUT = "60s"
CONNECT_TIMEOUT = 10  # seconds


class DatabaseNotReady(StartupError):
    """Postgres does not answer, or its schema is older than this version."""


class MigrationFailed(StartupError):
    """The database cannot be migrated to the newest schema."""


def migrate(database_url: str) -> list[str]:
    """Bring the database to the newest schema.

    Several containers may start at once: an advisory lock lets one migrate at a time, and ends with
    its connection. yoyo's own lock is a row in a table, which a process that dies leaves behind.

    If there is a role `coatcheck_service`, it gets what the service needs, and no more. Otherwise
    the role that migrates is the one that serves.

    Returns:
        The names of the migrations that were applied.

    Raises:
        MigrationFailed: with the reason in one line.
    """
    try:
        with psycopg.connect(
            database_url, autocommit=True, connect_timeout=CONNECT_TIMEOUT
        ) as connection:
            connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
            connection.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))
            applied = _apply(database_url)
            _grant(connection)
            return applied
    except psycopg.Error as error:
        raise MigrationFailed(f"The database cannot be migrated: {reason_of(error)}") from error


def pending(connection: psycopg.Connection[Any]) -> list[str]:
    """The names of the migrations that the database still needs, in one query. It may have newer
    ones too.

    Args:
        connection: in autocommit mode.

    Raises:
        psycopg.errors.InsufficientPrivilege: its role may not know.
    """
    # Without yoyo, which would create its tables, as a role that may not.
    try:
        rows = connection.execute("SELECT migration_id FROM _yoyo_migration").fetchall()
    except UndefinedTable:
        rows = []
    applied = {row[0] for row in rows}
    return [name for name in _names() if name not in applied]


def need_of(missing: list[str]) -> str:
    """What to do about migrations that are missing."""
    return f"The database needs {', '.join(missing)}. Run `python -m service migrate`."


def require_current(database_url: str) -> None:
    """Check that the database answers, and that it needs no migration, as far as its role may know.

    Raises:
        DatabaseNotReady: with the reason in one line.
    """
    try:
        with BoundedConnection.connect(
            database_url, autocommit=True, connect_timeout=CONNECT_TIMEOUT
        ) as connection:
            missing = pending(connection)
    except InsufficientPrivilege:
        return
    except psycopg.Error as error:
        raise DatabaseNotReady(
            f"Postgres at DATABASE_URL cannot be used: {reason_of(error)}"
        ) from error
    if missing:
        raise DatabaseNotReady(need_of(missing))


@cache
def _names() -> list[str]:
    return sorted(file.stem for file in FILES.glob("*.sql"))


def _apply(database_url: str) -> list[str]:
    from yoyo import get_backend, read_migrations  # only migrating needs it, and workers do not

    _, _, rest = database_url.partition("://")
    with get_backend(f"postgresql+psycopg://{rest}") as backend:
        pending = backend.to_apply(read_migrations(str(FILES)))
        backend.apply_migrations(pending)
        return [migration.id for migration in pending]


def _grant(connection: psycopg.Connection) -> None:
    roles = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (SERVICE_ROLE,))
    if roles.rowcount:
        with connection.transaction():
            connection.execute(GRANTS.read_bytes())
            connection.execute(NO_TEMPORARY_TABLES)
