"""Whether a deployment is safe and complete: what `python -m service check` reports."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import Connection
from psycopg.errors import InsufficientPrivilege

from service.configuration import config
from service.errors import DatabaseUnavailable, EvictionUnknown, Unavailable
from service.storage import migrations
from service.storage.postgres import Postgres
from service.storage.redis import (
    STRANGERS,
    evicting_policies,
    eviction_sentence,
    keeps_append_only_file,
    serves_strangers,
)
from service.web.services import Services

# Tables that the role needs and has no right on (service/storage/grants.sql).
WITHOUT_RIGHTS = """
SELECT relname FROM pg_class
 WHERE relnamespace = 'public'::regnamespace
   AND relname IN ('accounts', 'audit', 'known_devices', 'revocations')
   AND NOT has_any_column_privilege(oid, 'INSERT')
 ORDER BY relname
"""
# Of each role that the service's can become: itself, and those that it is a member of.
IS_TOO_POWERFUL = """
SELECT EXISTS (
    SELECT FROM pg_roles AS role
    LEFT JOIN pg_class AS own ON own.oid IN
        (to_regclass('accounts'), to_regclass('audit'), to_regclass('audit_heads'))
    WHERE pg_has_role(role.oid, 'MEMBER') AND (
        rolsuper OR rolcreaterole
        OR rolname IN ('pg_execute_server_program', 'pg_write_server_files')
        OR relowner = role.oid
        OR relname <> 'accounts' AND (
            has_any_column_privilege(role.oid, own.oid, 'SELECT, UPDATE')
            OR has_table_privilege(role.oid, own.oid, 'DELETE, TRUNCATE, TRIGGER')
        )
    )
)
"""


def check_up(settings: config.Settings, services: Services) -> list[config.Finding]:
    """Everything that an operator should know, the worst first.

    Args:
        settings: as they are; they may be unsafe.
        services: built from them.
    """
    found = [
        *config.findings(settings),
        *_of_postgres(services.postgres),
        *_of_sessions(settings, services),
        *_of_cache(services),
    ]
    return sorted(found, key=lambda finding: list(config.Severity).index(finding.severity))


def _of_postgres(postgres: Postgres) -> Iterator[config.Finding]:
    try:
        with postgres.connection() as connection:
            without = [name for (name,) in connection.execute(WITHOUT_RIGHTS)]
            missing = _missing_migrations(connection)
            row = connection.execute(IS_TOO_POWERFUL).fetchone()
    except DatabaseUnavailable:
        yield _broken("Postgres does not answer at DATABASE_URL. Registering and signing in fail.")
        return
    if without:
        yield _broken(
            f"The role in DATABASE_URL has no rights on {', '.join(without)}. Run"
            " `python -m service migrate` as the owner of the database: it grants them to"
            f" {migrations.SERVICE_ROLE}, of which the role must be a member."
        )
    elif missing is None:
        yield _doubtful(
            "The role in DATABASE_URL may not read _yoyo_migration, so nobody can tell whether the"
            " schema is current. Grant it SELECT on that table."
        )
    if missing:
        yield _broken(migrations.need_of(missing))
    if row and row[0]:
        yield _doubtful(
            "The role in DATABASE_URL owns the tables, is a superuser, or may read or change the"
            " audit trail, perhaps as a member of another role. So may whoever takes over the"
            " service. Let one role migrate, and another serve, with no more rights than `python -m"
            " service migrate` gives it."
        )


def _missing_migrations(connection: Connection) -> list[str] | None:
    """The migrations that the database still needs; None if the role may not know."""
    try:
        return migrations.pending(connection)
    except InsufficientPrivilege:
        return None


def _of_sessions(settings: config.Settings, services: Services) -> Iterator[config.Finding]:
    client = services.session_redis
    try:
        services.session_store.ping()
        evicting = evicting_policies(client)
        persistent = keeps_append_only_file(client)
    except EvictionUnknown:
        yield _doubtful(
            "The user in REDIS_URL may not send INFO, so nobody can tell whether that Redis deletes"
            " sessions when it is full. Let it, or make sure that maxmemory-policy is noeviction."
        )
        return
    except Unavailable:
        yield _broken("Redis does not answer at REDIS_URL. Nobody is signed in meanwhile.")
        return
    severity = config.Severity.UNSAFE if settings.is_exposed else config.Severity.DOUBTFUL
    if evicting:
        yield config.Finding(severity, eviction_sentence(evicting))
    if config.is_remote(settings.redis_url) and serves_strangers(settings.redis_url):
        yield config.Finding(severity, STRANGERS)
    if not persistent:
        yield _doubtful(
            "The Redis at REDIS_URL keeps no append-only file, so a restart signs everybody out and"
            " may undo a sign-out. Set appendonly to yes."
        )


def _of_cache(services: Services) -> Iterator[config.Finding]:
    try:
        services.username_cache.ping()
    except Unavailable:
        yield _doubtful(
            "Redis does not answer at CACHE_REDIS_URL. The service works without it, and is easier"
            " to overload with registrations."
        )


def _broken(text: str) -> config.Finding:
    return config.Finding(config.Severity.BROKEN, text)


def _doubtful(text: str) -> config.Finding:
    return config.Finding(config.Severity.DOUBTFUL, text)
