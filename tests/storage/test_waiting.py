"""A worker goes on while it waits for Postgres, whatever was imported before it was forked."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest
from redis import Redis

from tests.conditions import eventually
from tests.servers import Server, gunicorn

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


@pytest.fixture(params=["", "--preload"])
def server(
    request: pytest.FixtureRequest,
    environ: dict[str, str],
    database: psycopg.Connection,
    redis: Redis,
    tmp_path: Path,
) -> Iterator[Server]:
    more = {"GUNICORN_CMD_ARGS": request.param}
    with gunicorn(tmp_path, {**environ, **more}, workers=1) as server:
        yield server


def test_a_statement_that_waits_holds_up_no_other_request_of_its_worker(
    server: Server, database: psycopg.Connection, environ: dict[str, str]
) -> None:
    """psycopg's own way of waiting, in C, stops everything else of a process that gevent runs."""
    with ThreadPoolExecutor() as pool, psycopg.connect(environ["DATABASE_URL"]) as rival:
        rival.execute("LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE")
        login = pool.submit(
            httpx.post,
            f"{server.url}/api/v1/sessions",
            json={"username": "nobody", "password": "correct horse battery"},
            timeout=30,
        )
        try:
            eventually(lambda: (database.execute(WAITING).fetchone() or [0])[0] == 1)
            assert httpx.get(f"{server.url}/healthz", timeout=30).status_code == 200
            assert not login.done()
        finally:
            rival.rollback()
        assert login.result(30).status_code == 401
