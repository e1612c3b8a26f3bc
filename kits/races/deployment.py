"""What the kit drives: a service of its own with everything around it, or somebody's URL."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import psycopg

from kits.races.history import Row
from kits.races.http_client import Caller
from kits.races.proxies.process import Proxies
from kits.races.registrations.client import Client
from service.embedded import Postgres, Redis
from service.storage.migrations import migrate
from tests.conditions import eventually
from tests.servers import APPLICATION, Server, gunicorn

WORKERS = 3
POSTGRES_SOCKET = ".s.PGSQL.5432"
HEALING_TIMEOUT = 40.0
CLOCK_TOLERANCE = 0.005  # seconds; if the wall clock was set meanwhile, commit times mean nothing
ROWS = """
    SELECT canonical_username, id, retired_at IS NOT NULL,
           extract(epoch FROM pg_xact_commit_timestamp(xmin))::float
    FROM accounts
"""
# Holds up the COMMIT of a name for whoever has its advisory lock.
COMMIT_LOCK = """
    CREATE FUNCTION await_commit_lock() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(hashtext(NEW.canonical_username));
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER await_commit_lock AFTER INSERT ON accounts
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION await_commit_lock();
"""


class NotHealed(Exception):
    """The service did not become well again."""


class Target(Protocol):
    """A service that can be raced."""

    url: str

    def rows(self, client: Client, names: Iterable[str]) -> list[Row]:
        """The names that are taken."""


class Elsewhere:
    """A service that somebody else runs: seen from outside only."""

    def __init__(self, url: str) -> None:
        self.url = url

    def rows(self, client: Client, names: Iterable[str]) -> list[Row]:
        """Asks for one name after another."""
        answers = (client.availability(name, name, "verify") for name in names)
        return [Row(answer.name) for answer in answers if answer.reason == "taken"]


class Site:
    """Postgres, Redis, a proxy before each, and gunicorn."""

    def __init__(self, postgres: Postgres, redis: Redis, proxies: Proxies, server: Server) -> None:
        self.postgres, self.redis = postgres, redis
        self.proxies, self.server = proxies, server
        self.url = server.url
        self._offset = time.time() - time.monotonic()

    def rows(self, client: Client, names: Iterable[str]) -> list[Row]:
        """Reads the table, past the service; `names` does not matter."""
        offset = time.time() - time.monotonic()
        with psycopg.connect(self.postgres.url, connect_timeout=5) as connection:
            found = connection.execute(ROWS).fetchall()
        known = abs(offset - self._offset) < CLOCK_TOLERANCE
        rows = []
        for name, account, retired, committed in found:
            # What is timed of a retired row is its deletion.
            timed = committed and known and not retired
            rows.append(Row(name, account, committed - offset if timed else None, retired))
        return rows

    def await_healthy(self, client: Caller) -> None:
        """Return once every worker is there and says that all is well.

        Raises:
            NotHealed: not in time.
        """

        def is_well() -> bool:
            everybody = len(self.server.workers()) == WORKERS
            return everybody and all(client.is_ready() for _ in range(2 * WORKERS))

        try:
            eventually(is_well, HEALING_TIMEOUT)
        except AssertionError:
            raise NotHealed(f"not well {HEALING_TIMEOUT:.0f} s after it was healed") from None


@contextmanager
def running(
    logs: Path, names: str, application: str = APPLICATION, more: Mapping[str, str] | None = None
) -> Iterator[Site]:
    """A new site; nothing of it is left afterwards but logs.

    Args:
        logs: a directory.
        names: a pattern of what the proxies shall tell apart: names, or locators of sessions.
        application: what gunicorn runs.
        more: further variables of its environment.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="races-")))
        stack.callback(_keep, directory / "postgres/log", logs / "postgres.log")
        postgres = stack.enter_context(Postgres(directory / "postgres", durable=False, say=_mute))
        redis = stack.enter_context(Redis(directory / "redis", durable=False, say=_mute))
        _prepare(postgres)
        paths = {  # for each engine, where the proxy listens and where the engine does
            "redis": (directory / "redis.sock", redis.sockets / "redis.sock"),
            "postgres": (directory / POSTGRES_SOCKET, postgres.sockets / POSTGRES_SOCKET),
        }
        proxies = Proxies(names, paths)
        stack.callback(proxies.stop)
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
        yield Site(postgres, redis, proxies, server)


def _prepare(postgres: Postgres) -> None:
    """Make the schema, have commits timed, and let them be held up."""
    with psycopg.connect(postgres.superuser_url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
    postgres.stop()
    postgres.start()
    with psycopg.connect(postgres.superuser_url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")  # or a crash would forget since when commits are timed
    migrate(postgres.url)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(COMMIT_LOCK)


def _keep(log: Path, copy: Path) -> None:
    """Save what Postgres logged since its last start."""
    if log.exists():
        shutil.copyfile(log, copy)


def _mute(line: str) -> None:
    """Say nothing of what takes long."""
