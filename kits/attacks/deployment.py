"""What the kit attacks: one gunicorn on engines of its own, where a hash costs what it costs in
production."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kits import hasher
from kits.engines import forget_settings
from service.embedded import PostgresEngine, RedisEngine
from service.storage.migrations import migrate
from tests.servers import Server, gunicorn


@dataclass(frozen=True)
class Deployment:
    """A service that is running."""

    server: Server
    database_url: str

    @property
    def url(self) -> str:
        return self.server.url


@contextmanager
def deploy(directory: Path, workers: int = 1, **settings: str) -> Iterator[Deployment]:
    """Start a service with empty stores.

    Args:
        directory: for its data and its log.
        settings: more variables of its environment.
    """
    forget_settings()
    with PostgresEngine(directory / "postgres") as postgres, RedisEngine(directory) as redis:
        migrate(postgres.url)
        production = hasher.settings()
        environ = {
            "COATCHECK_ENV": "testing",  # which needs no TLS
            "COATCHECK_ARGON2_MEMORY_KIB": str(production.argon2_memory_kib),
            "COATCHECK_ARGON2_TIME_COST": str(production.argon2_time_cost),
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.url,
            **settings,
        }
        with gunicorn(directory, environ, workers) as server:
            yield Deployment(server, postgres.url)
