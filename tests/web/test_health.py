from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from redis import Redis

from config import Settings
from service import create_app
from service.embedded import RedisEngine
from service.storage.migrations import SERVICE_ROLE
from service.storage.postgres import BoundedConnection
from service.web.health import warn_of_eviction
from service.web.services import services_of
from tests.faults import frozen
from tests.redis_engines import Group
from tests.servers import gunicorn

NO_POSTGRES = {"database_url": "postgresql://nobody@localhost:1/nowhere"}
NO_SESSIONS = {"redis_url": "unix:///nowhere/redis.sock"}
NO_CACHE = {"cache_redis_url": "unix:///nowhere/redis.sock"}


def test_with_everything_up_it_is_ready(app: Flask) -> None:
    response = app.test_client().get("/readyz")
    assert response.status_code == 200
    assert response.json == {
        "status": "ready",
        "parts": {"postgres": "ok", "schema": "ok", "sessions": "ok", "username_cache": "ok"},
    }


@pytest.mark.parametrize(
    ("down", "parts", "status", "word"),
    [
        (NO_POSTGRES, {"postgres": "unavailable", "schema": "unchecked"}, 503, "unavailable"),
        (NO_SESSIONS, {"sessions": "unavailable"}, 503, "unavailable"),
        (NO_CACHE, {"username_cache": "unavailable"}, 200, "degraded"),
    ],
)
def test_a_part_that_is_down_is_named_and_the_process_is_alive_all_the_same(
    settings: Settings, down: dict[str, str], parts: dict[str, str], status: int, word: str
) -> None:
    app = create_app(settings.model_copy(update=down))
    client = app.test_client()
    response = client.get("/readyz")
    alive = client.get("/healthz")
    services_of(app).close()
    assert (response.status_code, response.json["status"]) == (status, word)
    found = response.json["parts"].items()
    assert {name: state for name, state in found if state != "ok"} == parts
    assert alive.status_code == 200


@contextmanager
def without(database: psycopg.Connection, migration: str) -> Iterator[None]:
    """As if a migration had not been applied."""
    [row] = database.execute(
        "DELETE FROM _yoyo_migration WHERE migration_id = %s RETURNING migration_hash,"
        " migration_id, applied_at_utc",
        (migration,),
    ).fetchall()
    try:
        yield
    finally:
        database.execute(
            "INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc)"
            " VALUES (%s, %s, %s)",
            row,
        )


def test_a_database_that_lacks_a_migration_is_not_ready_until_it_has_it(
    app: Flask, database: psycopg.Connection
) -> None:
    client = app.test_client()
    [(newest,)] = database.execute("SELECT max(migration_id) FROM _yoyo_migration")
    with without(database, newest):
        response = client.get("/readyz")
        assert (response.status_code, response.json["status"]) == (503, "unavailable")
        assert response.json["parts"]["schema"] == "outdated"
        assert response.json["parts"]["postgres"] == "ok"
    assert client.get("/readyz").status_code == 200


def test_a_database_that_was_never_migrated_is_not_ready(
    app: Flask, database: psycopg.Connection
) -> None:
    database.execute("ALTER TABLE _yoyo_migration RENAME TO hidden")
    try:
        response = app.test_client().get("/readyz")
    finally:
        database.execute("ALTER TABLE hidden RENAME TO _yoyo_migration")
    assert (response.status_code, response.json["parts"]["schema"]) == (503, "outdated")


def test_a_database_that_is_newer_than_the_code_is_ready(
    app: Flask, database: psycopg.Connection
) -> None:
    newer = "'ffff', '9999.of_a_later_version', now()"
    database.execute(
        "INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc)"
        f" VALUES ({newer})"
    )
    try:
        response = app.test_client().get("/readyz")
    finally:
        database.execute("DELETE FROM _yoyo_migration WHERE migration_hash = 'ffff'")
    assert (response.status_code, response.json["parts"]["schema"]) == (200, "ok")


def test_a_role_that_may_not_see_the_migrations_is_served(
    app: Flask, database: psycopg.Connection
) -> None:
    right = "SELECT (migration_id) ON _yoyo_migration"
    database.execute(f"REVOKE {right} FROM {SERVICE_ROLE}")
    try:
        response = app.test_client().get("/readyz")
    finally:
        database.execute(f"GRANT {right} TO {SERVICE_ROLE}")
    assert (response.status_code, response.json["parts"]["schema"]) == (200, "unchecked")


def test_asking_whether_it_is_ready_costs_one_query(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = []
    execute = BoundedConnection.execute

    def counted(self: BoundedConnection, query: Any, *arguments: Any, **more: Any) -> Any:
        queries.append(query)
        return execute(self, query, *arguments, **more)

    monkeypatch.setattr(BoundedConnection, "execute", counted)
    assert app.test_client().get("/readyz").status_code == 200
    assert len(queries) == 1


@contextmanager
def policy(server: Redis, name: str) -> Iterator[None]:
    server.config_set("maxmemory-policy", name)
    try:
        yield
    finally:
        server.config_set("maxmemory-policy", "noeviction")


@contextmanager
def built(settings: Settings, **changed: str) -> Iterator[Flask]:
    app = create_app(settings.model_copy(update={"log_format": "json", **changed}))
    yield app
    services_of(app).close()


def readiness(app: Flask) -> tuple[int, str, str]:
    """The status as a number and as a word, and the state of the session store."""
    response = app.test_client().get("/readyz")
    return response.status_code, response.json["status"], response.json["parts"]["sessions"]


def warnings_at_start(app: Flask, capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    capfd.readouterr()
    warn_of_eviction(app)
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    return [line for line in lines if line["level"] == "warning"]


@pytest.mark.parametrize("name", ["allkeys-lru", "volatile-ttl"])
def test_a_session_store_that_evicts_is_reported(
    settings: Settings, redis: Redis, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with built(settings) as app, policy(redis, name):
        assert readiness(app) == (200, "degraded", "evicts")
        [line] = warnings_at_start(app, capfd)
    assert (line["event"], name in line["why"]) == ("session_store_evicts", True)
    assert "signs people out" in line["why"]


def test_a_session_store_that_evicts_nothing_is_not_reported(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    with built(settings) as app:
        assert readiness(app) == (200, "ready", "ok")
        assert warnings_at_start(app, capfd) == []


def test_any_master_of_a_cluster_may_be_the_one_that_evicts(
    settings: Settings, cluster_engine: Group, capfd: pytest.CaptureFixture[str]
) -> None:
    with built(settings, redis_url=cluster_engine.url) as app:
        assert readiness(app) == (200, "ready", "ok")
        for node in cluster_engine.masters():
            with policy(node.client, "allkeys-lfu"):
                assert readiness(app) == (200, "degraded", "evicts")
                [line] = warnings_at_start(app, capfd)
                assert "allkeys-lfu" in line["why"]


def test_under_sentinel_the_master_is_asked(
    settings: Settings, sentinel_engine: Group, capfd: pytest.CaptureFixture[str]
) -> None:
    master = sentinel_engine.only_master()
    with built(settings, redis_url=sentinel_engine.url) as app:
        assert readiness(app) == (200, "ready", "ok")
        with policy(master.client, "allkeys-random"):
            assert readiness(app) == (200, "degraded", "evicts")
            assert len(warnings_at_start(app, capfd)) == 1


def test_the_username_cache_may_evict(
    settings: Settings, redis: Redis, sentinel_engine: Group, capfd: pytest.CaptureFixture[str]
) -> None:
    with built(settings, redis_url=sentinel_engine.url) as app, policy(redis, "allkeys-lru"):
        assert readiness(app) == (200, "ready", "ok")
        assert warnings_at_start(app, capfd) == []


def test_a_redis_user_that_may_not_ask_is_reported_and_served(
    settings: Settings, redis: Redis, capfd: pytest.CaptureFixture[str]
) -> None:
    redis.acl_setuser("guest", enabled=True, nopass=True, keys="*", commands=["+@all", "-info"])
    url = settings.redis_url.replace("coatcheck:", "guest:")
    try:
        with built(settings, redis_url=url) as app:
            assert readiness(app) == (200, "ready", "unchecked")
            [line] = warnings_at_start(app, capfd)
    finally:
        redis.acl_deluser("guest")
    assert line["event"] == "session_store_eviction_unknown"
    assert "NoPermissionError" in line["reason"]


def test_a_redis_that_does_not_answer_stops_no_start(
    settings: Settings, redis_engine: RedisEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    with built(settings) as app:
        started = time.monotonic()
        with frozen(redis_engine):
            lines = warnings_at_start(app, capfd)
        assert time.monotonic() - started < 1.1
    assert [line["event"] for line in lines] == ["session_store_eviction_unknown"]


def test_it_is_reported_when_a_worker_starts(
    tmp_path: Path, environ: dict[str, str], redis: Redis
) -> None:
    with policy(redis, "allkeys-lru"), gunicorn(tmp_path, environ, workers=1) as server:
        assert server.log.read_text().count("session_store_evicts") == 1
