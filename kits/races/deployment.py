"""What is raced: a service of the kit's own with its engines, or a service elsewhere."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import psycopg

from kits.engines import forget_settings
from kits.races.history import Row
from kits.races.http_client import HttpClient
from kits.races.proxy.process import ProxyProcess
from kits.races.registrations.client import RegistrationClient
from service.embedded import PostgresEngine, RedisEngine
from service.storage.migrations import migrate
from tests.conditions import eventually
from tests.servers import APPLICATION, Server, gunicorn

WORKERS = 3
POSTGRES_SOCKET = ".s.PGSQL.5432"
RECOVERY_TIMEOUT = 40.0
CLOCK_TOLERANCE = 0.005  # seconds; if the wall clock jumps further, commit times are useless
ROWS = """
    SELECT canonical_username, id, retired_at IS NOT NULL,
           extract(epoch FROM pg_xact_commit_timestamp(xmin))::float
    FROM accounts
"""
# Makes the COMMIT of a name wait for the holder of its advisory lock.
COMMIT_LOCK = """
    CREATE FUNCTION await_commit_lock() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(hashtext(NEW.canonical_username));
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER await_commit_lock AFTER INSERT ON accounts
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION await_commit_lock();
"""


class NotRecovered(Exception):
    """The service did not recover after a fault was healed."""


class Target(Protocol):
    """A service that can be raced."""

    url: str

    def rows(self, client: RegistrationClient, names: Iterable[str]) -> list[Row]:
        """The names that are taken."""


class RemoteDeployment:
    """A service that runs elsewhere, seen only from outside."""

    def __init__(self, url: str) -> None:
        self.url = url

    def rows(self, client: RegistrationClient, names: Iterable[str]) -> list[Row]:
        """Asks the service about one name after another."""
        operations = (client.availability(name, name, "verify") for name in names)
        return [Row(operation.name) for operation in operations if operation.reason == "taken"]


class Deployment:
    """Postgres, Redis, a proxy in front of both, and gunicorn. Use `start_deployment`."""

    def __init__(
        self, postgres: PostgresEngine, redis: RedisEngine, proxy: ProxyProcess, server: Server
    ) -> None:
        self.postgres, self.redis = postgres, redis
        self.proxy, self.server = proxy, server
        self.url = server.url
        self._offset = time.time() - time.monotonic()

    def rows(self, client: RegistrationClient, names: Iterable[str]) -> list[Row]:
        """Reads the table itself; `names` does not matter."""
        offset = time.time() - time.monotonic()
        with psycopg.connect(self.postgres.url, connect_timeout=5) as connection:
            found = connection.execute(ROWS).fetchall()
        clock_is_steady = abs(offset - self._offset) < CLOCK_TOLERANCE
        rows = []
        for name, account, retired, committed in found:
            # The commit time of a retired row is that of its deletion.
            known = committed and clock_is_steady and not retired
            rows.append(Row(name, account, committed - offset if known else None, retired))
        return rows

    def await_ready(self, client: HttpClient) -> None:
        """Wait until every worker runs and reports that it is ready.

        Raises:
            NotRecovered: not in time.
        """

        def is_ready() -> bool:
            all_run = len(self.server.workers()) == WORKERS
            return all_run and all(client.is_ready() for _ in range(2 * WORKERS))

        try:
            eventually(is_ready, RECOVERY_TIMEOUT)
        except AssertionError:
            raise NotRecovered(f"not ready {RECOVERY_TIMEOUT:.0f} s after the fault") from None


@contextmanager
def start_deployment(
    logs: Path, names: str, application: str = APPLICATION, more: Mapping[str, str] | None = None
) -> Iterator[Deployment]:
    """Run a new deployment; only its logs remain.

    Args:
        logs: a directory.
        names: a pattern of what proxy rules can refer to: usernames, or locators of sessions.
        application: what gunicorn runs.
        more: further environment variables.
    """
    forget_settings()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="races-")))
        stack.callback(_keep_log, directory / "postgres/log", logs / "postgres.log")
        postgres = stack.enter_context(
            PostgresEngine(directory / "postgres", durable=False, say=_mute)
        )
        redis = stack.enter_context(RedisEngine(directory / "redis", durable=False, say=_mute))
        _prepare(postgres)
        sockets = {
            "redis": (directory / "redis.sock", redis.sockets / "redis.sock"),
            "postgres": (directory / POSTGRES_SOCKET, postgres.sockets / POSTGRES_SOCKET),
        }
        proxy = ProxyProcess(names, sockets)
        stack.callback(proxy.stop)
        environ = {
            "COATCHECK_ENV": "testing",
            "COATCHECK_THROTTLING": "off",
            "DATABASE_URL": f"postgresql://coatcheck@/coatcheck?host={directory}",
            "REDIS_URL": f"unix://{directory}/redis.sock",
            "PROMETHEUS_MULTIPROC_DIR": str(directory / "metrics"),
            **(more or {}),
        }
        (directory / "metrics").mkdir()
        server = stack.enter_context(gunicorn(logs, environ, WORKERS, application))
        yield Deployment(postgres, redis, proxy, server)


def _prepare(postgres: PostgresEngine) -> None:
    """Create the schema, record commit times, and install the commit lock."""
    with psycopg.connect(postgres.superuser_url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
    postgres.stop()
    postgres.start()
    with psycopg.connect(postgres.superuser_url, autocommit=True) as connection:
        # Without this, a crash would forget since when commit times are recorded.
        connection.execute("CHECKPOINT")
    migrate(postgres.url)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(COMMIT_LOCK)


def _keep_log(log: Path, copy: Path) -> None:
    if log.exists():
        shutil.copyfile(log, copy)


def _mute(line: str) -> None:
    """Drop the engines' progress messages."""
