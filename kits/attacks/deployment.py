"""What is attacked: a service with throttling, behind a proxy that names the clients' addresses."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from kits.engines import WORKERS, forget_settings
from service.embedded import PostgresEngine, RedisEngine
from service.storage.migrations import migrate
from tests.servers import ROOT, Server, gunicorn
from tests.visitors import Visitor, visitor

# In this environment a hash costs what it costs in production, and cookies work without TLS.
ENVIRONMENT = "development"
MOST_DATA = {f"key{n:02}": "x" * 240 for n in range(16)}  # that an anonymous session may hold
COMMAND_TIMEOUT = 60  # seconds


def address(network: int, host: int = 1) -> str:
    """An address; those of one network differ in their last 64 bits only (RFC 3849)."""
    return f"2001:db8:{network >> 16:x}:{network & 0xFFFF:x}::{host:x}"


@dataclass(frozen=True)
class Deployment:
    """Postgres, Redis and gunicorn. Use `deploy`."""

    server: Server
    postgres: PostgresEngine
    redis_engine: RedisEngine
    redis: Redis
    environ: Mapping[str, str]

    @property
    def url(self) -> str:
        return self.server.url

    def visitor(self, where: str) -> AbstractContextManager[Visitor]:
        """A browser at an address."""
        return visitor(self.url, where)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run `python -m service` as an operator does, who owns the database."""
        return subprocess.run(
            [sys.executable, "-m", "service", *arguments],
            cwd=ROOT,
            env={**os.environ, **self.environ, "DATABASE_URL": self.postgres.url},
            capture_output=True,
            timeout=COMMAND_TIMEOUT,
            check=False,
        )


@contextmanager
def deploy(workers: int = WORKERS, **settings: str) -> Iterator[Deployment]:
    """Run a new deployment; nothing of it remains.

    Args:
        workers: how many.
        settings: variables that differ from those of every attack.
    """
    forget_settings()
    with (
        tempfile.TemporaryDirectory(prefix="attacks-") as path,
        PostgresEngine(Path(path) / "postgres", durable=False, say=_mute) as postgres,
        RedisEngine(Path(path) / "redis", durable=False, say=_mute) as redis_engine,
        Redis.from_url(redis_engine.url, protocol=2) as redis,
    ):
        migrate(postgres.url)
        environ = {
            "COATCHECK_ENV": ENVIRONMENT,
            "COATCHECK_TRUSTED_PROXIES": "1",
            "COATCHECK_LOG_FORMAT": "json",
            "DATABASE_URL": postgres.service_url,
            "REDIS_URL": redis_engine.url,
            **settings,
        }
        with gunicorn(Path(path), environ, workers) as server:
            yield Deployment(server, postgres, redis_engine, redis, environ)


def _mute(line: str) -> None:
    """Drop the engines' progress messages."""
