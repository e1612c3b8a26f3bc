from __future__ import annotations

import os
import time

import psutil
import psycopg
import pytest
from psycopg_pool import ConnectionPool

from service.embedded import PostgresEngine
from service.errors import DatabaseUnavailable
from service.storage import postgres as module
from service.storage.postgres import Postgres
from tests.faults import frozen

# Other processes of the run use other databases of the same server.
OWN_CONNECTIONS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
BREAK_CONNECTIONS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'coatcheck'
"""


def break_connections(engine: PostgresEngine) -> None:
    """Have the server end every connection of the service."""
    with psycopg.connect(engine.service_url, autocommit=True) as connection:
        connection.execute(BREAK_CONNECTIONS)


def ask(postgres: Postgres) -> None:
    """Have Postgres answer something."""
    with postgres.connection() as connection:
        connection.execute("SELECT 1")


INSERT = """
    INSERT INTO accounts (username, canonical_username, password_hash, session_locator)
    VALUES ('bob', 'bob', '', '')
"""


def test_a_statement_is_committed_when_it_returns(
    postgres: Postgres, database: psycopg.Connection
) -> None:
    with postgres.connection() as connection:
        connection.execute(INSERT)
        assert database.execute("SELECT count(*) FROM accounts").fetchone() == (1,)


def test_nothing_is_connected_before_the_first_statement(
    postgres_engine: PostgresEngine, database: psycopg.Connection
) -> None:
    def connections() -> set[int]:
        return {pid for (pid,) in database.execute(OWN_CONNECTIONS)}

    before = connections()
    postgres = Postgres(postgres_engine.url)
    assert connections() <= before
    ask(postgres)
    assert connections() - before
    postgres.close()


def test_a_child_opens_connections_of_its_own(postgres: Postgres) -> None:
    """Two processes on one socket would read each other's answers."""
    with postgres.connection() as connection:
        parents = connection.info.backend_pid
    child = os.fork()
    if child == 0:
        status = 2
        try:
            with postgres.connection() as connection:
                own = connection.execute("SELECT pg_backend_pid()").fetchone()
            status = 0 if own and own[0] != parents else 1
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    ask(postgres)


def test_a_server_that_is_not_there_is_an_error_in_time() -> None:
    postgres = Postgres("postgresql://nobody@localhost:1/nowhere")
    started = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        ask(postgres)
    postgres.close()
    assert time.monotonic() - started < module.CHECKOUT_TIMEOUT + 1


def test_a_connection_that_was_broken_is_replaced(
    postgres: Postgres, postgres_engine: PostgresEngine
) -> None:
    ask(postgres)
    break_connections(postgres_engine)
    ask(postgres)


def test_a_connection_is_checked_only_when_the_server_said_something_unasked(
    postgres: Postgres, postgres_engine: PostgresEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = []
    check = ConnectionPool.check_connection
    monkeypatch.setattr(
        ConnectionPool,
        "check_connection",
        staticmethod(lambda connection: [checked.append(connection), check(connection)]),
    )
    for _ in range(5):
        ask(postgres)
    assert checked == []
    break_connections(postgres_engine)
    ask(postgres)
    assert checked


def test_a_server_that_stops_answering_is_an_error_in_time(
    postgres_engine: PostgresEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.BoundedConnection.wait, "__defaults__", (0.1, 0.5))
    postgres = Postgres(postgres_engine.url)
    with pytest.raises(DatabaseUnavailable), postgres.connection() as connection:
        backend = connection.info.backend_pid
        started = time.monotonic()
        with frozen(psutil.Process(backend)):
            connection.execute("SELECT 1")
    assert time.monotonic() - started < 2
    ask(postgres)
    postgres.close()


@pytest.mark.parametrize(
    ("statement", "may_have_happened"),
    [
        ("SELECT pg_terminate_backend(pg_backend_pid())", True),
        ("SET LOCAL statement_timeout = 1; SELECT pg_sleep(10)", False),
    ],
)
def test_an_error_says_whether_the_statement_may_have_been_carried_out(
    postgres: Postgres, statement: str, may_have_happened: bool
) -> None:
    with pytest.raises(DatabaseUnavailable) as caught, postgres.connection() as connection:
        connection.execute(statement)
    assert caught.value.may_have_happened is may_have_happened


def test_the_server_bounds_every_statement_and_keeps_the_options_of_the_url(
    postgres_engine: PostgresEngine,
) -> None:
    postgres = Postgres(f"{postgres_engine.url}&options=-c%20work_mem%3D2MB")
    with postgres.connection() as connection:
        shown = [
            connection.execute(f"SHOW {name}").fetchone()
            for name in ("statement_timeout", "idle_in_transaction_session_timeout", "work_mem")
        ]
    postgres.close()
    assert shown == [("5s",), ("5s",), ("2MB",)]
