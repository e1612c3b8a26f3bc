"""Where registration strategies compete: on one Postgres, each with a database, a Redis and a
gunicorn of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from redis import Redis

from kits.engines import (
    COUNTING,
    PRODUCTION,
    PUBLIC_URL,
    WORKERS,
    counting_postgres,
    forget_settings,
)
from kits.load import strategies
from kits.workers import BRIDGED, THREADS
from service.embedded import PostgresEngine, RedisEngine
from service.embedded.postgres_engine import NAME, OWNER
from service.storage.migrations import migrate
from tests.conditions import eventually
from tests.servers import Server, gunicorn

# Autovacuum would count as transactions and remove the dead tuples.
POSTGRES_SETTINGS = COUNTING | {"autovacuum": "off"}


@dataclass(frozen=True)
class Strategy:
    """A way to register a name; `key` names its application in `strategies`."""

    key: str
    title: str
    suited_to: str


SELECT = Strategy("select_then_insert", "SELECT, then INSERT", "few concurrent visitors")
CATCH = Strategy("insert_and_catch", "INSERT, catch the violation", "mostly new names")
RECIPE = Strategy("redis_then_insert", "Redis, INSERT, SET", "names registered within the hour")
COATCHECK = Strategy("coatcheck", "Coatcheck", "all of these at once")
TUTORIALS = (SELECT, CATCH, RECIPE)
STRATEGIES = (*TUTORIALS, COATCHECK)

ADD_TO_COATCHECK = """
    INSERT INTO accounts (username, canonical_username, password_hash, session_locator)
    SELECT 'old' || n, 'old' || n, 'none', 'none' FROM generate_series(0, %s - 1) n
"""
ADD_TO_TUTORIAL = """
    INSERT INTO accounts (username, password_hash)
    SELECT 'old' || n, 'none' FROM generate_series(0, %s - 1) n
"""


@dataclass(frozen=True)
class Deployment:
    """A strategy that is being served."""

    strategy: Strategy
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

    def add_existing(self, count: int) -> None:
        """Add accounts `old0`, `old1`, … as if registered long ago: Redis knows none of them."""
        add = ADD_TO_COATCHECK if self.strategy is COATCHECK else ADD_TO_TUTORIAL
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(add, (count,))
            connection.execute("VACUUM ANALYZE accounts")
            connection.execute("CHECKPOINT")

    def empty_redis(self) -> None:
        """Make the strategy forget every name that it has cached."""
        self.redis.flushall()


class Engines:
    """The engines that all deployments of a run share. Use `start_engines`."""

    def __init__(self, directory: Path, postgres: PostgresEngine, environment: str) -> None:
        self.directory = directory
        self.environment = environment
        self.postgres = postgres
        self._deployed = 0

    @contextmanager
    def deploy(self, strategy: Strategy, workers: int = WORKERS) -> Iterator[Deployment]:
        """Serve a strategy on a new, empty database and a new, empty Redis."""
        self._deployed += 1
        name = f"load_{self._deployed}"
        directory = self.directory / name
        hashes, ready = directory / "hashes", directory / "ready"
        worker_class = None if strategy is COATCHECK else BRIDGED
        application = f"kits.load.strategies:{strategy.key}()"
        with RedisEngine(directory) as engine:
            environ = self._environ(strategy, name, engine.url)
            environ |= {strategies.HASHES: str(hashes), strategies.READY: str(ready)}
            with (
                Redis.from_url(engine.url, protocol=2) as redis,
                gunicorn(directory, environ, workers, application, worker_class) as server,
            ):
                eventually(lambda: ready.stat().st_size == workers, within=30)
                url = _database(self.postgres.superuser_url, name)
                yield Deployment(strategy, workers, server, name, url, redis, engine.pid, hashes)

    def _environ(self, strategy: Strategy, database: str, redis_url: str) -> dict[str, str]:
        with psycopg.connect(self.postgres.superuser_url, autocommit=True) as connection:
            owner = OWNER if strategy is COATCHECK else NAME
            connection.execute(f"CREATE DATABASE {database} OWNER {owner}")
        url = _database(self.postgres.service_url, database)
        if strategy is COATCHECK:
            migrate(_database(self.postgres.url, database))
        else:
            with psycopg.connect(url) as connection:
                connection.execute(strategies.TABLE)
        return {
            "COATCHECK_ENV": self.environment,
            "COATCHECK_PUBLIC_URL": PUBLIC_URL,
            "COATCHECK_THROTTLING": "off",
            "DATABASE_URL": url,
            "REDIS_URL": redis_url,
            THREADS: "16",
        }


@contextmanager
def start_engines(directory: Path, environment: str = PRODUCTION) -> Iterator[Engines]:
    """Run a Postgres that counts statements and is as durable as in production."""
    forget_settings()
    with counting_postgres(directory / "postgres", POSTGRES_SETTINGS) as postgres:
        yield Engines(directory, postgres, environment)


def _database(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()
