"""`python -m service check`: what it finds, how it says it, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import conninfo
from redis import Redis

import config
from config import Settings, Severity
from service import checkup
from service.embedded import PostgresEngine, RedisEngine
from service.embedded.postgres_engine import NAME, OWNER
from service.extension import build_app
from service.storage.migrations import SERVICE_ROLE, migrate
from service.web.services import services_of
from tests.faults import frozen
from tests.redis_engines import Group
from tests.servers import ROOT

PUBLIC = {"COATCHECK_PUBLIC_URL": "https://id.example.org"}
COSTLY = {"COATCHECK_ARGON2_MEMORY_KIB": "19456"}


def found(settings: Settings) -> list[tuple[Severity, str]]:
    services = services_of(build_app(settings))
    try:
        return [(severity, text) for severity, text in checkup.check_up(settings, services)]
    finally:
        services.close()


def about(settings: Settings, word: str) -> list[tuple[Severity, str]]:
    return [(severity, text) for severity, text in found(settings) if word in text]


@contextmanager
def configured(redis: Redis, **values: str) -> Iterator[None]:
    before = {name: redis.config_get(name)[name] for name in values}
    for name, value in values.items():
        redis.config_set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            redis.config_set(name, value)


def test_a_deployment_that_is_as_it_should_be_gives_no_cause_for_complaint(
    production: Settings,
) -> None:
    assert found(production) == []


def test_a_role_that_owns_the_tables_is_doubtful(
    production: Settings, postgres_engine: PostgresEngine
) -> None:
    [(severity, text)] = found(production.model_copy(update={"database_url": postgres_engine.url}))
    assert (severity, "owns the tables" in text) == (Severity.DOUBTFUL, True)


@pytest.mark.parametrize(
    "right",
    [
        "ALL ON audit, audit_heads",
        "SELECT ON audit",
        "UPDATE (device) ON audit",
        "DELETE ON audit_heads",
        "TRIGGER ON audit",
        OWNER,
        "pg_write_all_data",
        "pg_read_all_data",
        "pg_execute_server_program",
    ],
)
def test_a_role_that_can_get_at_the_audit_trail_is_doubtful(
    production: Settings, postgres_engine: PostgresEngine, right: str
) -> None:
    assert found(production) == []
    name = conninfo.conninfo_to_dict(postgres_engine.url)["dbname"]
    superuser = conninfo.make_conninfo(postgres_engine.superuser_url, dbname=name)
    # In a transaction of its own database: other processes of the run share the roles.
    with psycopg.connect(superuser) as connection:
        connection.execute(f"GRANT {right} TO {NAME}")
        connection.execute(f"SET LOCAL ROLE {NAME}")
        assert connection.execute(checkup.IS_TOO_POWERFUL).fetchone() == (True,)
        connection.rollback()


def test_a_role_that_can_get_at_the_audit_trail_is_reported(
    production: Settings, database: psycopg.Connection
) -> None:
    database.execute(f"GRANT SELECT ON audit TO {NAME}")
    try:
        [(severity, text)] = found(production)
    finally:
        database.execute(f"REVOKE SELECT ON audit FROM {NAME}")
    assert (severity, "audit trail" in text) == (Severity.DOUBTFUL, True)


def test_a_store_on_the_network_that_serves_whoever_connects_is_unsafe(
    production: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user without a password accepts any, so the one in the URL says nothing."""
    monkeypatch.setattr(config, "is_remote", lambda _: True)
    [(severity, text)] = found(production)
    assert (severity, "asks nobody for a password" in text) == (Severity.UNSAFE, True)
    redis.acl_setuser("default", enabled=True, reset_passwords=True, passwords=["+secret"])
    try:
        assert found(production) == []
    finally:
        redis.acl_setuser("default", enabled=True, nopass=True)


def test_a_role_that_may_not_see_the_migrations_is_reported(
    production: Settings, database: psycopg.Connection
) -> None:
    right = "SELECT (migration_id) ON _yoyo_migration"
    database.execute(f"REVOKE {right} FROM {SERVICE_ROLE}")
    try:
        [(severity, text)] = found(production)
    finally:
        database.execute(f"GRANT {right} TO {SERVICE_ROLE}")
    assert (severity, "_yoyo_migration" in text) == (Severity.DOUBTFUL, True)


def test_a_role_without_any_right_is_broken_and_migrate_is_the_remedy(
    production: Settings, database: psycopg.Connection, postgres_engine: PostgresEngine
) -> None:
    """As between the REASSIGN of docs/operations.md and `migrate`."""
    database.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {SERVICE_ROLE}")
    try:
        [(severity, text)] = found(production)
    finally:
        migrate(postgres_engine.url)
    assert severity is Severity.BROKEN
    assert "accounts, audit, known_devices, revocations" in text
    assert "python -m service migrate" in text


def test_missing_migrations_are_named(production: Settings, database: psycopg.Connection) -> None:
    last = database.execute("SELECT max(migration_id) FROM _yoyo_migration").fetchone()
    assert last
    database.execute("ALTER TABLE _yoyo_migration RENAME TO hidden")
    try:
        [(severity, text)] = found(production)
    finally:
        database.execute("ALTER TABLE hidden RENAME TO _yoyo_migration")
    assert severity is Severity.BROKEN
    assert last[0] in text
    assert "python -m service migrate" in text


@pytest.mark.parametrize(
    ("field", "down", "severity"),
    [
        ("database_url", "postgresql://nobody@localhost:1/nowhere", Severity.BROKEN),
        ("redis_url", "unix:///nowhere/redis.sock", Severity.BROKEN),
        ("cache_redis_url", "unix:///nowhere/redis.sock", Severity.DOUBTFUL),
    ],
)
def test_what_does_not_answer_is_named(
    production: Settings, field: str, down: str, severity: Severity
) -> None:
    [(each, text)] = found(production.model_copy(update={field: down}))
    assert (each, field.upper() in text) == (severity, True)


def test_a_store_that_evicts_is_unsafe_in_production_and_doubtful_elsewhere(
    production: Settings, redis: Redis
) -> None:
    with configured(redis, **{"maxmemory-policy": "allkeys-lru"}):
        [(severity, text)] = found(production)
        developing = production.model_copy(update={"env": "development"})
        [(elsewhere, _)] = found(developing)
    assert (severity, elsewhere) == (Severity.UNSAFE, Severity.DOUBTFUL)
    assert "allkeys-lru" in text


def test_a_store_without_a_log_is_doubtful(production: Settings, redis: Redis) -> None:
    with configured(redis, appendonly="no"):
        [(severity, text)] = found(production)
    assert (severity, "append-only" in text) == (Severity.DOUBTFUL, True)


def test_every_master_of_a_cluster_is_asked(production: Settings, cluster_engine: Group) -> None:
    on_a_cluster = production.model_copy(update={"redis_url": cluster_engine.url})
    assert len(about(on_a_cluster, "append-only")) == 1
    for node in cluster_engine.masters():
        with configured(node.client, **{"maxmemory-policy": "volatile-ttl"}):
            assert len(about(on_a_cluster, "volatile-ttl")) == 1


def check(environ: dict[str, str], **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service", "check"]
    env = {"PATH": os.environ["PATH"], **environ, **more}
    return subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=30, check=False
    )


def test_the_command_succeeds_with_doubts_and_explains_each_in_one_line(
    environ: dict[str, str], redis: Redis
) -> None:
    more = {"COATCHECK_ENV": "production", "COATCHECK_THROTTLING": "off", **PUBLIC, **COSTLY}
    done = check(environ, **more)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert all(line.startswith("doubtful: ") for line in lines)
    assert [word in done.stdout for word in ("THROTTLING", "PROXIES")] == [True] * 2
    assert len(lines) == 2


def test_the_command_fails_if_anything_is_unsafe_and_says_everything_else_too(
    environ: dict[str, str], redis: Redis
) -> None:
    done = check(environ, COATCHECK_ENV="production", REDIS_URL="unix:///nowhere/redis.sock")
    assert done.returncode == 1
    kinds = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert kinds == ["unsafe", "unsafe", "broken", *["doubtful"] * (len(kinds) - 3)]
    assert "Traceback" not in done.stderr


def test_the_command_says_so_when_there_is_nothing_to_say(
    environ: dict[str, str], database: psycopg.Connection, redis: Redis
) -> None:
    done = check(environ)
    assert (done.returncode, done.stdout) == (0, "Everything is as it should be.\n")


def test_a_redis_that_hangs_holds_up_the_command_for_a_moment_only(
    production: Settings, redis_engine: RedisEngine
) -> None:
    with frozen(redis_engine):
        kinds = [severity for severity, _ in found(production)]
    assert kinds == [Severity.BROKEN, Severity.DOUBTFUL]  # the cache is the same Redis
