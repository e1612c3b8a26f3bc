"""The one Redis hangs, and crashes: `python -m kits.races.outages` is the long form."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest

from kits.races.outages import Fault, killed, run, stopped
from service.embedded import Redis as EmbeddedRedis
from tests.servers import Server, gunicorn


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path / "redis") as engine:
        yield engine


@pytest.fixture
def own_server(
    environ: dict[str, str],
    own_redis: EmbeddedRedis,
    database: psycopg.Connection,
    tmp_path: Path,
) -> Iterator[Server]:
    more = {"COATCHECK_SESSIONS_PER_ACCOUNT": "1000", "REDIS_URL": own_redis.url}
    with gunicorn(tmp_path, {**environ, **more}) as server:
        yield server


@pytest.mark.parametrize("fault", [partial(stopped, seconds=2.0), killed])
def test_g10_every_answer_is_quick_and_every_session_outlives_the_outage(
    own_redis: EmbeddedRedis, own_server: Server, fault: Fault
) -> None:
    """Nothing but success and 503, no cookie deleted, and no worker restarted."""
    assert not run(own_redis, own_server, fault, clients=6, around=1.0)
