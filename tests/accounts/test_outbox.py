"""A revocation that Postgres has recorded reaches Redis, whatever fails in between."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import psycopg
import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from service.__main__ import main
from service.accounts.outbox import Outbox
from service.embedded import PostgresEngine, RedisEngine
from service.errors import NoSuchAccount, RevocationPending, SessionStoreUnavailable
from service.sessions.record import NOWHERE
from service.sessions.store import SessionStore
from service.web.services import Services, services_of
from tests.conditions import eventually
from tests.faults import frozen
from tests.passwords import BOB, PASSWORD
from tests.servers import gunicorn, is_ready
from tests.web.devices import cookie, with_cookie

CURRENT = "/api/v1/sessions/current"
NEW_PASSWORD = "another correct horse"
WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND datname = %s
"""
PENDING = "SELECT count(*) FROM revocations WHERE delivered_at IS NULL"


@pytest.fixture
def bob(app: Flask) -> FlaskClient:
    client = app.test_client()
    assert client.post("/api/v1/accounts", json=BOB).status_code == 201
    return client


@pytest.fixture
def thief(app: Flask, bob: FlaskClient) -> FlaskClient:
    client = app.test_client()
    assert client.post("/api/v1/sessions", json=BOB).status_code == 201
    return client


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisEngine]:
    """A Redis that may stop."""
    with RedisEngine(tmp_path / "redis", durable=False) as engine:
        yield engine


def pending(database: psycopg.Connection) -> int:
    [(count,)] = database.execute(PENDING)
    return int(count)


@contextmanager
def redis_hangs_when_postgres_has_the_change(redis_engine: RedisEngine) -> Iterator[None]:
    """Redis answers until Postgres has recorded the revocation, and not before the end."""
    deliver = Outbox.deliver

    def too_late(self: Outbox, *arguments: Any) -> int:
        with frozen(redis_engine):
            return deliver(self, *arguments)

    with patch.object(Outbox, "deliver", too_late):
        yield


CHANGES: dict[str, Callable[[FlaskClient], Any]] = {
    "change": lambda bob: bob.put(
        "/api/v1/account/password",
        json={"current_password": PASSWORD, "new_password": NEW_PASSWORD},
    ),
    "delete": lambda bob: bob.delete("/api/v1/account", json={"password": PASSWORD}),
    "revoke_others": lambda bob: bob.delete("/api/v1/sessions?scope=others"),
    "revoke_all": lambda bob: bob.delete("/api/v1/sessions?scope=all"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_revocation_that_redis_missed_is_completed_without_another_request(
    bob: FlaskClient,
    thief: FlaskClient,
    redis_engine: RedisEngine,
    database: psycopg.Connection,
    change: str,
) -> None:
    """G6: the thief's session ends, although the client does not try again."""
    with redis_hangs_when_postgres_has_the_change(redis_engine):
        answer = CHANGES[change](bob)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json["detail"].startswith(
        "The change is saved, so there is no need to repeat it."
    )
    eventually(lambda: thief.get(CURRENT).status_code == 401, within=8)
    eventually(lambda: pending(database) == 0)


@pytest.mark.parametrize(
    ("change", "again"),
    [("change", 403), ("delete", 401), ("revoke_others", 200), ("revoke_all", 401)],
)
def test_a_change_whose_revocation_was_completed_is_understood_when_it_is_repeated(
    bob: FlaskClient,
    thief: FlaskClient,
    redis_engine: RedisEngine,
    database: psycopg.Connection,
    change: str,
    again: int,
) -> None:
    with redis_hangs_when_postgres_has_the_change(redis_engine):
        assert CHANGES[change](bob).status_code == 503
    eventually(lambda: pending(database) == 0)
    assert CHANGES[change](bob).status_code == again


def test_a_password_change_whose_revocation_waits_gives_a_new_id_all_the_same(
    app: Flask, bob: FlaskClient, thief: FlaskClient, redis_engine: RedisEngine
) -> None:
    """Somebody else may have the old one. An outage is no logout: the browser keeps a session."""
    old = cookie(bob)
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    with redis_hangs_when_postgres_has_the_change(redis_engine):
        assert bob.put("/api/v1/account/password", json=body).status_code == 503
    assert cookie(bob) != old
    eventually(lambda: thief.get(CURRENT).status_code == 401)
    assert bob.get(CURRENT).status_code == 200
    assert with_cookie(app, old).get(CURRENT).status_code == 401


def test_a_process_that_dies_after_a_password_change_leaves_no_old_session(
    app: Flask, bob: FlaskClient, thief: FlaskClient
) -> None:
    """Not even the one that asked, which has not got its new id."""

    def die(*_: object, **__: object) -> None:
        raise SystemExit

    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    with patch.object(SessionStore, "rotate", die), pytest.raises(SystemExit):
        bob.put("/api/v1/account/password", json=body)
    assert bob.get(CURRENT).status_code == 200
    services = services_of(app)
    outbox = Outbox(services.postgres, services.session_store, wake=lambda: None)
    eventually(lambda: outbox.complete() and bob.get(CURRENT).status_code == 401)
    assert thief.get(CURRENT).status_code == 401


def test_an_account_is_disabled_while_redis_is_down_and_its_sessions_end_when_it_is_back(
    services: Services,
    bob: FlaskClient,
    redis_engine: RedisEngine,
    database: psycopg.Connection,
) -> None:
    with frozen(redis_engine), pytest.raises(RevocationPending):
        services.revocation.disable("bob", NOWHERE)
    eventually(lambda: bob.get(CURRENT).status_code == 401, within=8)
    assert bob.post("/api/v1/sessions", json=BOB).status_code == 401


def test_the_command_line_says_that_the_service_will_complete_it(
    environ: dict[str, str],
    services: Services,
    bob: FlaskClient,
    redis_engine: RedisEngine,
    database: psycopg.Connection,
) -> None:
    with frozen(redis_engine):
        done = CliRunner(env=environ).invoke(main, ["accounts", "disable", "bob"])
    assert done.exit_code == 1
    [said] = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert said.startswith("Error: bob is disabled. Its sessions end as soon as Redis answers")
    services.chore.start()
    eventually(lambda: bob.get(CURRENT).status_code == 401, within=8)


def test_a_deleted_account_can_be_deleted_again_until_its_sessions_have_ended(
    services: Services, bob: FlaskClient, database: psycopg.Connection
) -> None:
    with (
        patch.object(SessionStore, "revoke_all", side_effect=SessionStoreUnavailable),
        pytest.raises(RevocationPending),
    ):
        services.revocation.delete_by_name("bob", NOWHERE)
    assert services.revocation.delete_by_name("bob", NOWHERE) == 1
    eventually(lambda: pending(database) == 0, within=8)
    with pytest.raises(NoSuchAccount):
        services.revocation.delete_by_name("bob", NOWHERE)


def test_what_was_delivered_is_delivered_once(
    services: Services, bob: FlaskClient, database: psycopg.Connection
) -> None:
    assert services.revocation.revoke("bob", NOWHERE) == 1
    assert pending(database) == 0
    with patch.object(SessionStore, "revoke_all", side_effect=AssertionError):
        services.chore.start()
        services.chore.close()


def test_a_delivery_that_comes_late_spares_the_sessions_that_began_since(
    app: Flask, services: Services, bob: FlaskClient, database: psycopg.Connection
) -> None:
    services.revocation.revoke("bob", NOWHERE)
    assert bob.post("/api/v1/sessions", json=BOB).status_code == 201
    database.execute(
        "UPDATE revocations SET delivered_at = NULL, recorded_at = now() - interval '1 minute'"
    )
    services.chore.start()
    eventually(lambda: pending(database) == 0)
    assert bob.get(CURRENT).status_code == 200


def test_delivered_revocations_are_forgotten_after_a_day(
    services: Services, bob: FlaskClient, database: psycopg.Connection
) -> None:
    services.revocation.revoke("bob", NOWHERE)
    services.revocation.revoke("bob", NOWHERE)
    database.execute(
        "UPDATE revocations SET delivered_at = now() - interval '25 hours' WHERE epoch = 1"
    )
    services.chore.start()
    left = "SELECT array_agg(epoch) FROM revocations"
    eventually(lambda: database.execute(left).fetchone() == ([2],))


def test_one_revocation_that_always_fails_keeps_no_other_waiting(
    services: Services, bob: FlaskClient, redis: Redis, database: psycopg.Connection
) -> None:
    """One part of a cluster may be down for long."""
    redis.set("coatcheck:{unreachable!}:sessions", "not a sorted set")
    database.execute(
        "INSERT INTO revocations (locator, epoch, recorded_at)"
        " VALUES ('unreachable!', 1, now() - interval '1 minute')"
    )
    database.execute(
        "INSERT INTO revocations (locator, epoch, recorded_at)"
        " SELECT session_locator, 7, now() - interval '1 minute' FROM accounts"
    )
    services.chore.start()
    eventually(lambda: bob.get(CURRENT).status_code == 401)
    eventually(lambda: pending(database) == 1)


def test_a_revocation_of_a_worker_that_was_killed_is_completed_by_another(
    environ: dict[str, str],
    own_redis: RedisEngine,
    tmp_path: Path,
    postgres_engine: PostgresEngine,
    database: psycopg.Connection,
) -> None:
    """G6: Postgres has it, Redis hangs, and the process that knows is gone."""
    with (
        gunicorn(tmp_path, environ | {"REDIS_URL": own_redis.url}, workers=2) as server,
        server.client() as bob,
        server.client() as thief,
        ThreadPoolExecutor() as callers,
        psycopg.connect(postgres_engine.superuser_url, autocommit=True) as superuser,
    ):
        assert bob.post("/api/v1/accounts", json=BOB).status_code == 201
        assert thief.post("/api/v1/sessions", json=BOB).status_code == 201
        with psycopg.connect(postgres_engine.url) as rival:
            rival.execute("SELECT FROM accounts FOR UPDATE")
            request = callers.submit(bob.delete, "/api/v1/sessions?scope=all")
            eventually(lambda: superuser.execute(WAITING, [rival.info.dbname]).fetchone() == (1,))
            doomed = server.workers()
            with frozen(own_redis):
                rival.commit()
                eventually(lambda: pending(database) == 1)
                for worker in doomed:
                    os.kill(worker, signal.SIGKILL)
                assert isinstance(request.exception(10), httpx.TransportError)
        eventually(lambda: server.workers().isdisjoint(doomed) and is_ready(server.url))
        eventually(lambda: thief.get(CURRENT).status_code == 401, within=20)
        assert pending(database) == 0
