"""Whatever somebody does to the audit trail, `audit verify` finds it."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from click.testing import CliRunner, Result

from service.__main__ import main
from service.accounts import usernames
from service.accounts.repository import AccountRepository
from service.audit.archive import Archive
from service.audit.chain import hash_of
from service.audit.entry import Entry, Event
from service.audit.trail import AuditTrail
from service.sessions.record import Client
from tests.entries import REGISTERED

Run = Callable[..., Result]
WRITERS, EACH = 8, 12


@pytest.fixture
def run(owner_environ: dict[str, str]) -> Run:
    def run(*arguments: str, **more: str) -> Result:
        environ = owner_environ | more
        return CliRunner(env=environ).invoke(main, ["audit", *arguments])

    return run


@pytest.fixture
def written(audit: AuditTrail, database: psycopg.Connection) -> None:
    """Rows of two accounts and of nobody's, with all that JSON has to escape."""
    odd = Client("2001:db8::1", '"quoted" \\ slash / é 漢字 🦊 \x7f \u2028 <&>')
    for number in (1, 2, 1, 1, 2):
        audit.record(Entry(Event.SIGNED_IN, number, odd, "ab" * 32, {"methods": ["password"]}))
    for _ in range(3):
        audit.record(Entry(Event.SIGN_IN_REFUSED, 1, odd, particulars={"reason": "wrong_password"}))


def test_what_the_service_writes_verifies(run: Run, written: None) -> None:
    assert (run("verify").exit_code, run("verify").stdout) == (0, "The audit trail is complete.\n")


def test_one_chain_for_each_account_and_one_for_what_strangers_do_from_an_address(
    written: None, database: psycopg.Connection
) -> None:
    found = database.execute(
        "SELECT chain, array_agg(seq ORDER BY id) FROM audit GROUP BY chain ORDER BY chain"
    ).fetchall()
    assert [seqs for _, seqs in found] == [[1, 2, 3], [1, 2, 3], [1, 2]]
    assert -32 <= found[0][0] <= -1
    assert [chain for chain, _ in found[1:]] == [1, 2]


@pytest.mark.parametrize(
    ("tampering", "where"),
    [
        ("UPDATE audit SET device = 'another' WHERE chain = 1 AND seq = 2", "chain 1, row 2: has"),
        (
            "UPDATE audit SET at = at - interval '1 microsecond' WHERE chain = 2 AND seq = 1",
            "row 1",
        ),
        ("UPDATE audit SET account_id = NULL WHERE chain = 1 AND seq = 1", "chain 1, row 1: has"),
        ("UPDATE audit SET particulars = '{}' WHERE chain = 1 AND seq = 1", "chain 1, row 1: has"),
        ("DELETE FROM audit WHERE chain = 1 AND seq = 1", "chain 1, row 1: missing"),
        ("DELETE FROM audit WHERE chain = 1 AND seq = 2", "chain 1, row 2: missing"),
        ("DELETE FROM audit WHERE chain = 1 AND seq = 3", "chain 1, row 3: missing"),
        ("DELETE FROM audit WHERE chain = 1", "chain 1, row 1: missing, as are all up to 3"),
        ("DELETE FROM audit_heads WHERE chain = 1", "chain 1, row 3: the chain has no head"),
        ("UPDATE audit SET previous = hash WHERE chain = 2 AND seq = 2", "row 2: does not follow"),
        (
            "UPDATE audit SET seq = CASE seq WHEN 2 THEN 9 ELSE 2 END WHERE chain = 1 AND seq > 1;"
            " UPDATE audit SET seq = 3 WHERE chain = 1 AND seq = 9",
            "chain 1, row 2: does not follow",
        ),
    ],
)
def test_a_row_that_is_changed_or_removed_is_found(
    run: Run, written: None, database: psycopg.Connection, tampering: str, where: str
) -> None:
    database.execute(tampering)
    result = run("verify")
    assert result.exit_code == 1
    assert where in result.stdout
    assert "The audit trail has been changed." in result.stderr


def test_many_writers_leave_chains_without_gap_or_fork(
    run: Run, audit: AuditTrail, database: psycopg.Connection
) -> None:
    """Some write about one account, some about their own, some about nobody's."""

    def write(writer: int) -> None:
        for number in range(EACH):
            about = (1, 100 + writer, None)[number % 3]
            audit.record(Entry(Event.SIGNED_IN, about, Client(f"192.0.2.{writer % 2}", "")))

    with ThreadPoolExecutor(WRITERS) as writers:
        list(writers.map(write, range(WRITERS)))
    assert database.execute("SELECT count(*) FROM audit").fetchone() == (WRITERS * EACH,)
    assert run("verify").exit_code == 0


def test_the_export_is_enough_to_verify_elsewhere(run: Run, written: None) -> None:
    lines = run("export").stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 8
    assert all(row["hash"] == hash_of(row) for row in rows)
    assert all(character >= " " for line in lines for character in line)


def test_what_is_older_than_the_retention_is_pruned_and_the_rest_verifies(
    run: Run, audit: AuditTrail, database: psycopg.Connection
) -> None:
    settings = {"COATCHECK_AUDIT_RETENTION": "86400"}
    old = datetime.now(UTC) - timedelta(days=2)
    # The last row of the first chain waited for Postgres, and so comes after a younger one.
    for number, at in ((1, old), (1, None), (1, old), (2, old), (2, old)):
        audit.record(Entry(Event.SIGNED_IN, number, at=at))
    assert run("prune", **settings).stdout == "Removed 3 entries.\n"
    assert run("verify").exit_code == 0
    left = database.execute("SELECT chain, seq FROM audit ORDER BY id").fetchall()
    assert left == [(1, 2), (1, 3)]
    database.execute("DELETE FROM audit WHERE chain = 1 AND seq = 2")
    assert "chain 1, row 2: missing" in run("verify").stdout


def test_a_chain_goes_on_after_all_of_it_was_pruned(
    run: Run, audit: AuditTrail, written: None, database: psycopg.Connection
) -> None:
    assert Archive(database).prune(age=-1) == 8
    assert run("verify").exit_code == 0
    audit.record(Entry(Event.SIGNED_OUT, 1))
    assert database.execute("SELECT seq FROM audit").fetchone() == (4,)
    assert run("verify").exit_code == 0


def test_the_list_shows_the_newest_entries_of_one_account(
    run: Run, accounts: AccountRepository, audit: AuditTrail
) -> None:
    account = accounts.insert(usernames.parse("Bob"), "hash", "locator-----", "", REGISTERED)
    assert account
    hostile = Client("192.0.2.1", "\x9b31mred")
    for number in (account.id, account.id + 1):
        audit.record(Entry(Event.SIGNED_IN, number, hostile, None, {"methods": ["password"]}))
    lines = run("list", "--account", "BOB").stdout.splitlines()
    assert [line.split("\t")[2] for line in lines] == ["signed_in", "registered"]
    assert all(part.isprintable() for line in lines for part in line.split("\t"))
    assert len(run("list", "--limit", "2").stdout.splitlines()) == 2
    assert run("list", "--account", "nobody-at-all").stderr.startswith("Error: No account")


def test_the_service_itself_is_told_who_may_read_the_trail(
    environ: dict[str, str], database: psycopg.Connection
) -> None:
    result = CliRunner(env=environ).invoke(main, ["audit", "verify"])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Only the owner of the database may read")
