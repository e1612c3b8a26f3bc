"""What all contenders are served on: one Postgres, one Redis, and the cost of a load on them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import psutil
from redis import Redis

from kits.load.costs import redis_commands
from kits.load.testbed import COUNTING, WORKERS, counting_postgres, forget_settings
from service.embedded import Postgres as EmbeddedPostgres
from service.embedded import Redis as EmbeddedRedis
from service.storage.migrations import migrate
from tests.conditions import eventually
from tests.servers import Server, gunicorn

WHILE, IDLE = 0.3, 0.02  # seconds; seconds of CPU within them

COATCHECK = "applications:coatcheck"


@dataclass(frozen=True)
class Cost:
    """Seconds of CPU by who spent them, and commands to Redis, those inside of scripts included."""

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
class Stage:
    """The engines, and the environment that is not any contender's own. Use `stage`."""

    directory: Path
    postgres: EmbeddedPostgres
    engine: EmbeddedRedis
    redis: Redis
    environment: str

    @contextmanager
    def serve(self, application: str, workers: int = WORKERS) -> Iterator[Contender]:
        """Serve MODULE:FUNCTION under the project's own gunicorn.conf.py."""
        environ = {
            "COATCHECK_ENV": self.environment,
            "COATCHECK_THROTTLING": "off",
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.engine.url,
        }
        application = f"kits.bench.{application}()"
        with gunicorn(self.subdirectory(), environ, workers, application) as server:
            yield Contender(self, server)

    @contextmanager
    def with_another_redis(self) -> Iterator[Stage]:
        """The same Postgres and an empty Redis."""
        directory = self.subdirectory()
        with redis(directory) as (engine, client):
            yield Stage(directory, self.postgres, engine, client, self.environment)

    def subdirectory(self) -> Path:
        """One that nobody else has."""
        return Path(tempfile.mkdtemp(dir=self.directory))


@dataclass(frozen=True)
class Contender:
    """An application that is being served."""

    stage: Stage
    server: Server

    @property
    def url(self) -> str:
        return self.server.url

    def cost(self) -> Cost:
        """What it and the engines have spent since they started."""
        return Cost(
            _cpu(self.server.master.pid),
            _cpu(self.stage.engine.pid),
            _cpu(self.stage.postgres.pid),
            redis_commands(self.stage.redis),
        )

    def settle(self) -> None:
        """Wait until nobody works any more: on a start, on requests that nobody waits for, or on
        rewriting Redis' append-only file."""
        eventually(self._is_idle, within=60)

    def _is_idle(self) -> bool:
        before = self.cost()
        time.sleep(WHILE)
        return (self.cost() - before).cpu <= IDLE


@contextmanager
def stage(directory: Path, environment: str = "production") -> Iterator[Stage]:
    """Both engines, durable as in production."""
    forget_settings()
    with (
        counting_postgres(directory / "postgres", COUNTING) as postgres,
        redis(directory / "redis") as (engine, client),
    ):
        migrate(postgres.url)
        yield Stage(directory, postgres, engine, client, environment)


@contextmanager
def redis(directory: Path) -> Iterator[tuple[EmbeddedRedis, Redis]]:
    """An empty Redis, and a client of the kit's own."""
    with EmbeddedRedis(directory) as engine, Redis.from_url(engine.url, protocol=2) as client:
        yield engine, client


def _cpu(pid: int) -> float:
    """Seconds of a process and its children, those that have ended included."""
    parent = psutil.Process(pid)
    spent = 0.0
    for process in [parent, *parent.children(recursive=True)]:
        try:
            spent += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue  # its parent has it in its own count by now
    return spent
