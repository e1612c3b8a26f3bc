"""The roles of the production stack, on new data and on data from before there were two."""

from __future__ import annotations

import importlib.util
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from service.embedded import PostgresEngine
from service.storage.migrations import migrate
from tests.run import prepare_postgres
from tests.servers import ROOT


@pytest.fixture(scope="module")
def engine() -> Iterator[PostgresEngine]:
    """A Postgres of its own: roles belong to a server, not to a database."""
    with tempfile.TemporaryDirectory(prefix="coatcheck-") as directory:
        Path(directory).chmod(0o711)
        prepare_postgres(Path(directory, "postgres"))
        with PostgresEngine(Path(directory, "postgres"), durable=False) as engine:
            yield engine


@pytest.fixture
def superuser(engine: PostgresEngine) -> Iterator[psycopg.Connection]:
    """Of a server without our roles and database."""
    with psycopg.connect(engine.superuser_url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS coatcheck WITH (FORCE)")
        connection.execute("DROP ROLE IF EXISTS coatcheck, coatcheck_owner, coatcheck_service")
        yield connection


@pytest.fixture
def set_up(engine: PostgresEngine, tmp_path: Path) -> Callable[[], None]:
    """Run what deploy/make_passwords.py writes, as the image of Postgres does."""
    spec = importlib.util.spec_from_file_location("make", ROOT / "deploy" / "make_passwords.py")
    assert spec
    assert spec.loader
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    script = tmp_path / "coatcheck.sql"
    script.write_text(make.CREATE_DATABASE.format(service="secret-1", owner="secret-2"))

    def run() -> None:
        psql = [str(engine._program("psql")), "--no-psqlrc", "-v", "ON_ERROR_STOP=1"]
        command = [*psql, "-f", str(script), engine.superuser_url]
        subprocess.run(command, check=True, capture_output=True, timeout=30)

    return run


def test_the_owner_migrates_and_the_service_serves(
    engine: PostgresEngine, superuser: psycopg.Connection, set_up: Callable[[], None]
) -> None:
    set_up()
    set_up()
    assert migrate(engine.url)
    with psycopg.connect(engine.service_url) as service:
        assert service.execute("SELECT count(*) FROM accounts").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            service.execute("DROP TABLE accounts")


def test_the_service_can_hide_nothing_in_other_databases_or_large_objects(
    engine: PostgresEngine, superuser: psycopg.Connection, set_up: Callable[[], None]
) -> None:
    set_up()
    for database in ("postgres", "template1"):
        elsewhere = psycopg.conninfo.make_conninfo(engine.service_url, dbname=database)
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(elsewhere)
    with psycopg.connect(engine.service_url, autocommit=True) as service:
        for call in ("lo_creat(-1)", "lo_create(0)", "lo_from_bytea(0, 'x')"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                service.execute(f"SELECT {call}")


def test_data_that_the_service_owned_pass_to_the_owner(
    engine: PostgresEngine, superuser: psycopg.Connection, set_up: Callable[[], None]
) -> None:
    superuser.execute("CREATE ROLE coatcheck LOGIN")
    superuser.execute("CREATE DATABASE coatcheck OWNER coatcheck")
    assert migrate(engine.service_url)  # one role does everything, and still can
    with psycopg.connect(engine.service_url) as service:
        service.execute(
            "INSERT INTO accounts (username, canonical_username, password_hash, session_locator)"
            " VALUES ('Bob', 'bob', '', '')"
        )
    set_up()
    assert migrate(engine.url) == []
    with psycopg.connect(engine.service_url) as service:
        assert service.execute("SELECT username FROM accounts").fetchone() == ("Bob",)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            service.execute("SELECT * FROM audit")
