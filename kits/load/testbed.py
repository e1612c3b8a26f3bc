"""Where contenders meet: one Postgres, and for each a database, a Redis and a gunicorn."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from redis import Redis

from kits.load import strategies
from service.embedded import Postgres as EmbeddedPostgres
from service.embedded import Redis as EmbeddedRedis
from service.storage.migrations import migrate
from tests.conditions import eventually
from tests.servers import Server, gunicorn

WORKERS = 2  # one for each core of the machine that the targets are set for
ENVIRONMENT = "production"  # for the price of a hash that is paid there

COUNTING = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track_utility": "off",  # BEGIN and COMMIT are counted as transactions
}
POSTGRES_SETTINGS = COUNTING | {
    # It would count as transactions, and take the dead tuples away.
    "autovacuum": "off",
}


@dataclass(frozen=True)
class Way:
    """One way to register, by the name of its application in `contenders`."""

    key: str
    title: str
    suited_to: str


SELECT = Way("select_then_insert", "SELECT, then INSERT", "few visitors at a time")
CATCH = Way("insert_and_catch", "INSERT, catch the violation", "names that are mostly new")
RECIPE = Way("redis_then_insert", "Redis, INSERT, SET", "names registered within the hour")
OURS = Way("ours", "Coatcheck", "all of these at once")
ORIGINALS = (SELECT, CATCH, RECIPE)
WAYS = (*ORIGINALS, OURS)

EXISTING = {
    True: """
        INSERT INTO accounts (username, canonical_username, password_hash, session_locator)
        SELECT 'old' || n, 'old' || n, 'none', 'none' FROM generate_series(0, %s - 1) n
    """,
    False: """
        INSERT INTO accounts (username, password_hash)
        SELECT 'old' || n, 'none' FROM generate_series(0, %s - 1) n
    """,
}


@dataclass(frozen=True)
class Entrant:
    """A way that is being served."""

    way: Way
    workers: int
    server: Server
    database: str
    database_url: str  # of the superuser, whose statements are not counted
    redis: Redis
    redis_pid: int
    hashes: Path

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def port(self) -> int:
        return port(self.server)

    def add_existing(self, count: int) -> None:
        """Accounts `old0`, `old1`, …, as if registered long ago: Redis knows none of them."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(EXISTING[self.way is OURS], (count,))
            connection.execute("VACUUM ANALYZE accounts")
            connection.execute("CHECKPOINT")

    def forget(self) -> None:
        """Empty its Redis."""
        self.redis.flushall()


class Arena:
    """The engines that all of a run share. Use `arena`."""

    def __init__(self, directory: Path, postgres: EmbeddedPostgres, environment: str) -> None:
        self.directory = directory
        self.environment = environment
        self.postgres = postgres
        self._entered = 0

    @contextmanager
    def enter(self, way: Way, workers: int = WORKERS) -> Iterator[Entrant]:
        """Serve `way` on an empty database and an empty Redis of its own."""
        self._entered += 1
        name = f"load_{self._entered}"
        directory = self.directory / name
        hashes, ready = directory / "hashes", directory / "ready"
        application = f"kits.load.strategies:{way.key}()"
        with EmbeddedRedis(directory) as engine:
            environ = self._environ(way, name, engine.url)
            environ |= {strategies.HASHES: str(hashes), strategies.READY: str(ready)}
            with (
                Redis.from_url(engine.url, protocol=2) as redis,
                gunicorn(directory, environ, workers, application) as server,
            ):
                eventually(lambda: ready.stat().st_size == workers, within=30)
                url = _database(self.postgres.superuser_url, name)
                yield Entrant(way, workers, server, name, url, redis, engine.pid, hashes)

    def _environ(self, way: Way, database: str, redis_url: str) -> dict[str, str]:
        with psycopg.connect(self.postgres.superuser_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {database} OWNER coatcheck")
        url = _database(self.postgres.url, database)
        if way is OURS:
            migrate(url)
        else:
            with psycopg.connect(url) as connection:
                connection.execute(strategies.TABLE)
        return {
            "COATCHECK_ENV": self.environment,
            "COATCHECK_THROTTLING": "off",
            "DATABASE_URL": url,
            "REDIS_URL": redis_url,
        }


@contextmanager
def arena(directory: Path, environment: str = ENVIRONMENT) -> Iterator[Arena]:
    """A Postgres that counts statements, durable as in production."""
    forget_settings()
    with counting_postgres(directory / "postgres", POSTGRES_SETTINGS) as postgres:
        yield Arena(directory, postgres, environment)


def forget_settings() -> None:
    """What a developer has set is not what is measured."""
    for name in [name for name in os.environ if name.startswith("COATCHECK_")]:
        del os.environ[name]


@contextmanager
def counting_postgres(directory: Path, settings: Mapping[str, str]) -> Iterator[EmbeddedPostgres]:
    """A Postgres with pg_stat_statements, which `settings` must preload."""
    postgres = EmbeddedPostgres(directory)
    with postgres, psycopg.connect(postgres.superuser_url, autocommit=True) as connection:
        for name, value in settings.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
    with postgres:
        with psycopg.connect(postgres.superuser_url) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        yield postgres


def port(server: Server) -> int:
    """Where it listens."""
    return int(server.url.rpartition(":")[2])


def _database(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()
