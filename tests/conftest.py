"""Real engines for the whole run; an empty store and an application for each test."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from flask import Flask
from hypothesis import settings as hypothesis
from redis import Redis

import config
from config import Settings
from service import create_app
from service.accounts.repository import AccountRepository
from service.audit.trail import AuditTrail
from service.embedded import PostgresEngine
from service.storage.postgres import Postgres
from service.web.services import services_of
from tests.redis_engines import Group, Masters, cluster, sentinels
from tests.restricted_redis import RestrictedRedis, denials
from tests.run import Run, shared_postgres
from tests.servers import Server, gunicorn


@pytest.fixture(scope="session")
def directory() -> Iterator[Path]:
    """Where the engines live. Not pytest's own, which a Postgres that root started cannot enter."""
    with TemporaryDirectory() as path:
        yield Path(path)


@pytest.fixture(scope="session")
def postgres_engine() -> PostgresEngine:
    """One server for all processes of the run, and in it a database for each."""
    return shared_postgres()


@pytest.fixture(scope="session")
def redis_engine(directory: Path) -> Iterator[RestrictedRedis]:
    """A server of this process's own: tests stop, fill and reset it, and it starts in 25 ms."""
    with RestrictedRedis(directory / "redis", "sessions", "cache") as engine:
        yield engine


@pytest.fixture(scope="session")
def cluster_engine(directory: Path) -> Iterator[Group]:
    with cluster(directory / "cluster", masters=3, replicas=1) as group:
        yield group


@pytest.fixture(scope="session")
def sentinel_engine(directory: Path) -> Iterator[Group]:
    with sentinels(directory / "sentinels") as group:
        yield group


@pytest.fixture
def database(postgres_engine: PostgresEngine) -> Iterator[psycopg.Connection]:
    """A connection of the test's own, as the owner of a database that is empty."""
    with psycopg.connect(postgres_engine.url, autocommit=True) as connection:
        connection.execute("TRUNCATE accounts, known_devices, revocations, audit, audit_heads")
        yield connection


@pytest.fixture
def postgres(postgres_engine: PostgresEngine, database: psycopg.Connection) -> Iterator[Postgres]:
    """The service's own connections, to a database without accounts."""
    postgres = Postgres(postgres_engine.service_url)
    yield postgres
    postgres.close()


@pytest.fixture
def accounts(postgres: Postgres) -> AccountRepository:
    return AccountRepository(postgres, quarantine=86400)


@pytest.fixture
def owned_accounts(
    postgres_engine: PostgresEngine, database: psycopg.Connection
) -> Iterator[AccountRepository]:
    """The accounts as the owner of the database has them, who alone may remove rows."""
    postgres = Postgres(postgres_engine.url)
    yield AccountRepository(postgres, quarantine=86400)
    postgres.close()


@pytest.fixture
def owner_environ(environ: dict[str, str], postgres_engine: PostgresEngine) -> dict[str, str]:
    """The variables for what only the owner of the database may do."""
    return environ | {"DATABASE_URL": postgres_engine.url}


@pytest.fixture
def audit(postgres: Postgres) -> AuditTrail:
    return AuditTrail(postgres, wake=lambda: None)


@pytest.fixture
def redis(redis_engine: RestrictedRedis) -> Iterator[Redis]:
    """A client of the test's own, to an empty Redis. The service may try nothing there that it may
    not in production."""
    with Redis.from_url(redis_engine.url, protocol=2) as client:
        client.flushall()
        client.acl_log_reset()
        yield client
        assert denials(client) == set()


@pytest.fixture
def redis_cluster(cluster_engine: Group) -> Iterator[Masters]:
    """A client of the test's own, to an empty Redis Cluster of three masters."""
    with Masters(cluster_engine.url) as client:
        client.flushall()
        yield client


@pytest.fixture(params=["redis", "redis_cluster"])
def either_redis(request: pytest.FixtureRequest) -> Redis | Masters:
    """The test runs twice: on one server and on a Cluster."""
    client: Redis | Masters = request.getfixturevalue(request.param)
    return client


@pytest.fixture(scope="session")
def environ(postgres_engine: PostgresEngine, redis_engine: RestrictedRedis) -> dict[str, str]:
    """The variables with which the service runs on the test's engines."""
    return {
        "COATCHECK_ENV": "testing",
        "COATCHECK_THROTTLING": "off",  # all tests have one address
        "COATCHECK_ARGON2_MEMORY_KIB": "64",  # each registration would take 20 ms
        "DATABASE_URL": postgres_engine.service_url,
        "REDIS_URL": redis_engine.service_url,
    }


@pytest.fixture
def settings(environ: dict[str, str], database: psycopg.Connection, redis: Redis) -> Settings:
    return config.load(environ)


@pytest.fixture
def production(settings: Settings) -> Settings:
    """Settings that production accepts."""
    safe = {"public_url": "https://id.example.org", "trusted_proxies": 1, "throttling": True}
    costly = {"argon2_memory_kib": 19456, "argon2_time_cost": 2}
    return settings.model_copy(update={"env": "production", **safe, **costly})


@pytest.fixture(scope="session")
def running_server(directory: Path, environ: dict[str, str]) -> Iterator[Server]:
    with gunicorn(
        directory, environ, workers=3, application="tests.guarantees.user_app:app"
    ) as server:
        yield server


@pytest.fixture
def server(running_server: Server, database: psycopg.Connection, redis: Redis) -> Server:
    """The service with three workers and a user's view, on empty stores."""
    return running_server


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    app.testing = True
    yield app
    services_of(app).close()


RUN = pytest.StashKey[Run]()
LONGEST_ID = 60
# What takes long to start, and the group of the tests that use it: one process runs a whole group.
GROUPS = {
    "cluster_engine": "cluster",
    "redis_cluster": "cluster",
    "sentinel_engine": "sentinels",
    "running_server": "server",
    "throttling_server": "throttling",
    "front_url": "front",
    "behind_the_front": "front",
    "bridge": "bridge",
    "impatient": "impatient",
}
hypothesis.register_profile("quick", max_examples=25, deadline=None)
hypothesis.register_profile("thorough", max_examples=10_000, deadline=None)
hypothesis.load_profile("quick")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the settings of a developer out of the tests."""
    if not hasattr(config, "workerinput"):
        config.stash[RUN] = Run()
    for name in list(os.environ):
        if name.startswith("COATCHECK_") or name in {"DATABASE_URL", "REDIS_URL"}:
            del os.environ[name]
    # With it, each server that a test starts would compile the whole service again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


def pytest_make_parametrize_id(val: object) -> str | None:
    """Keep long values out of the names of tests: each process sends all names to the first."""
    if isinstance(val, str | bytes) and len(val) > LONGEST_ID:
        return f"{type(val).__name__}-of-{len(val)}"
    return None


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        assert isinstance(item, pytest.Function)
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        used = {*item.fixturenames, *(each for each in parameters if isinstance(each, str))}
        for group in {GROUPS[name] for name in used & GROUPS.keys()}:
            item.add_marker(pytest.mark.xdist_group(group))


def pytest_unconfigure(config: pytest.Config) -> None:
    if RUN in config.stash:
        config.stash[RUN].end()
