"""What the service's role cannot do, even if somebody gets hold of its connection."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from service.storage.migrations import GRANTS, migrate
from tests.entries import add_accounts
from tests.run import SharedPostgres

ENTRY = "INSERT INTO audit (event, particulars, address, device) VALUES ('x', '{}', '', '')"
OWNERS_ALONE = {"audit_heads"}  # and yoyo's


@pytest.fixture
def service(
    postgres_engine: SharedPostgres, database: psycopg.Connection
) -> Iterator[psycopg.Connection]:
    migrate(postgres_engine.url)  # a copied database lacks what is granted on the database itself
    with psycopg.connect(postgres_engine.service_url, autocommit=True) as connection:
        connection.execute(ENTRY)
        yield connection


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM audit",
        "SELECT count(*) FROM audit",
        f"{ENTRY} RETURNING id",
        ENTRY.replace("(event", "(hash, event").replace("('x'", "('', 'x'"),
        "UPDATE audit SET device = ''",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "SELECT * FROM audit_heads",
        "UPDATE audit_heads SET seq = 0",
        "INSERT INTO audit_heads (chain, seq, hash) VALUES (1, 1, '')",
        "UPDATE accounts SET canonical_username = 'x'",
        "UPDATE accounts SET session_locator = ''",
        "UPDATE accounts SET created_at = now()",
        "INSERT INTO accounts (id) OVERRIDING SYSTEM VALUE VALUES (1)",
        "DELETE FROM accounts",
        "TRUNCATE accounts",
        "ALTER TABLE accounts ADD COLUMN note text",
        "ALTER TABLE audit DISABLE TRIGGER audit_chain",
        "DROP TABLE accounts",
        "DROP TRIGGER audit_chain ON audit",
        "CREATE TABLE loot (note text)",
        "CREATE TEMPORARY TABLE audit_heads (chain bigint)",
        "CREATE FUNCTION loot() RETURNS int LANGUAGE sql RETURN 1",
        "CREATE ROLE friend",
        "SELECT * FROM _yoyo_migration",
        "SET ROLE coatcheck_owner",
    ],
)
def test_the_service_may_not(service: psycopg.Connection, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        service.execute(statement)


def test_the_service_sees_the_activity_of_one_account_at_a_time(
    service: psycopg.Connection, database: psycopg.Connection
) -> None:
    add_accounts(database, 7)
    service.execute(ENTRY.replace("(event", "(account_id, event").replace("('x'", "(7, 'x'"))
    found = service.execute("SELECT event FROM account_activity(7, NULL, 10)").fetchall()
    assert found == [("x",)]
    assert service.execute("SELECT event FROM account_activity(8, NULL, 10)").fetchall() == []


def test_the_grants_say_of_every_table_what_the_service_may_do(
    database: psycopg.Connection,
) -> None:
    """A new table belongs in grants.sql, or in OWNERS_ALONE."""
    tables = database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    granted = set(re.findall(r"^GRANT [^;]* ON (\w+) TO", GRANTS.read_text(), re.MULTILINE))
    own = {name for (name,) in tables if "yoyo" not in name}
    assert own - OWNERS_ALONE <= granted


def test_migrating_again_changes_no_grant(
    postgres_engine: SharedPostgres, service: psycopg.Connection, database: psycopg.Connection
) -> None:
    grants = "SELECT relname, relacl::text FROM pg_class WHERE relacl IS NOT NULL ORDER BY 1"
    before = database.execute(grants).fetchall()
    migrate(postgres_engine.url)
    assert database.execute(grants).fetchall() == before
