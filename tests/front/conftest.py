"""What several tests of the front need."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from redis import Redis

from service.accounts.repository import AccountRepository
from service.embedded import RedisEngine
from service.front.lanes import Lane
from service.front.registrations import Registrations
from service.registration.username_cache import UsernameCache
from service.storage import lines
from tests.front.in_front_of_flask import Open
from tests.front.raw import Journal, alive
from tests.passwords import POLICY
from tests.servers import Server, gunicorn
from tests.ways import behind_the_front, both_ways, flask_alone, front_url, way

__all__ = ["behind_the_front", "both_ways", "flask_alone", "front_url", "way"]  # fixtures


@pytest.fixture(scope="session")
def impatient(environ: dict[str, str]) -> Iterator[Server]:
    """One worker with short limits; it logs in JSON, as in production."""
    arguments = "-k tests.front.impatient.Worker --keep-alive 1"
    more = {"GUNICORN_CMD_ARGS": arguments, "COATCHECK_LOG_FORMAT": "json"}
    with (
        TemporaryDirectory(prefix="coatcheck-hostile-") as directory,
        gunicorn(Path(directory), {**environ, **more}, workers=1) as server,
    ):
        yield server


@pytest.fixture
def url(impatient: Server, database: psycopg.Connection, redis: Redis) -> Iterator[str]:
    """Where it listens; the same worker serves at the end."""
    workers = impatient.workers()
    yield impatient.url
    assert alive(impatient.url)
    assert impatient.workers() == workers


@pytest.fixture
def journal(url: str, impatient: Server) -> Journal:
    return Journal(url, impatient.log)


@pytest.fixture
def cache(redis: Redis) -> UsernameCache:
    return UsernameCache(redis)


@pytest.fixture
def opened(cache: UsernameCache, redis_engine: RedisEngine, accounts: AccountRepository) -> Open:
    """Opens registrations on the running loop, in front of the given lane or an idle one."""

    @asynccontextmanager
    async def open_(passwords: Lane | None = None) -> AsyncIterator[Registrations]:
        lookups = Lane("lookups", 1, 0.5, holds_back=False)
        passwords = passwords or Lane("passwords", 1, 0.2, holds_back=True)
        redis = lines.connect(redis_engine.url)
        found = Registrations(cache, redis, accounts, lookups, passwords, POLICY)
        try:
            yield found
        finally:
            await found.close()
            lookups.close()
            passwords.close()

    return open_
