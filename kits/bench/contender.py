"""The competing applications, the engines that they share, and what a load costs each of them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from redis import Redis

from kits.counters import cpu_seconds, redis_commands
from kits.engines import (
    COUNTING,
    PRODUCTION,
    PUBLIC_URL,
    WORKERS,
    counting_postgres,
    forget_settings,
)
from kits.workers import BRIDGED
from kits.workers import PLAIN as PLAIN_WORKER
from service.embedded import PostgresEngine, RedisEngine
from service.storage.migrations import migrate
from tests.conditions import eventually
from tests.servers import Server, gunicorn

PERIOD, IDLE = 0.3, 0.02  # seconds; seconds of CPU that an idle contender may use in them

COATCHECK, PLAIN = "applications:coatcheck", "applications:plain"
WORKER_CLASSES = {COATCHECK: None, PLAIN: PLAIN_WORKER}  # every other: BRIDGED


@dataclass(frozen=True)
class Cost:
    """The CPU seconds of each part, and the commands that Redis ran, including those in scripts."""

    workers: float
    redis: float
    postgres: float
    commands: int

    def __sub__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))

    @property
    def cpu(self) -> float:
        return self.workers + self.redis + self.postgres


@dataclass(frozen=True)
class Engines:
    """Postgres and Redis, which contenders share. Use `start_engines`."""

    directory: Path
    postgres: PostgresEngine
    redis_engine: RedisEngine
    redis: Redis
    environment: str

    @contextmanager
    def serve(
        self, application: str, workers: int = WORKERS, more: Mapping[str, str] | None = None
    ) -> Iterator[Contender]:
        """Serve MODULE:FUNCTION under the project's own gunicorn.conf.py: all on the same loop, and
        those on WSGI in the same threads. `more` are further environment variables."""
        environ = {
            "COATCHECK_ENV": self.environment,
            "COATCHECK_PUBLIC_URL": PUBLIC_URL,
            "COATCHECK_THROTTLING": "off",
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.redis_engine.url,
            **(more or {}),
        }
        worker_class = WORKER_CLASSES.get(application, BRIDGED)
        application = f"kits.bench.{application}()"
        with gunicorn(self.subdirectory(), environ, workers, application, worker_class) as server:
            yield Contender(self, server)

    @contextmanager
    def with_another_redis(self) -> Iterator[Engines]:
        """The same Postgres and an empty Redis."""
        directory = self.subdirectory()
        with _start_redis(directory) as (engine, client):
            yield Engines(directory, self.postgres, engine, client, self.environment)

    def subdirectory(self) -> Path:
        """A new directory that only the caller uses."""
        return Path(tempfile.mkdtemp(dir=self.directory))


@dataclass(frozen=True)
class Contender:
    """An application that is being served."""

    engines: Engines
    server: Server

    @property
    def url(self) -> str:
        return self.server.url

    def cost(self) -> Cost:
        """What the contender and the engines have spent since they started."""
        return Cost(
            cpu_seconds(self.server.master.pid),
            cpu_seconds(self.engines.redis_engine.pid),
            cpu_seconds(self.engines.postgres.pid),
            redis_commands(self.engines.redis),
        )

    def settle(self) -> None:
        """Wait until everything is idle: nothing is starting, no request is left whose client gave
        up, and Redis is not rewriting its append-only file."""
        eventually(self._is_idle, within=60)

    def _is_idle(self) -> bool:
        before = self.cost()
        time.sleep(PERIOD)
        return (self.cost() - before).cpu <= IDLE


@contextmanager
def start_engines(directory: Path, environment: str = PRODUCTION) -> Iterator[Engines]:
    """Run both engines, as durable as in production."""
    forget_settings()
    with (
        counting_postgres(directory / "postgres", COUNTING) as postgres,
        _start_redis(directory / "redis") as (engine, client),
    ):
        migrate(postgres.url)
        yield Engines(directory, postgres, engine, client, environment)


@contextmanager
def _start_redis(directory: Path) -> Iterator[tuple[RedisEngine, Redis]]:
    with RedisEngine(directory) as engine, Redis.from_url(engine.url, protocol=2) as client:
        yield engine, client
