"""Whatever somebody does to the audit trail, `audit verify` finds it."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg.errors import CheckViolation, ForeignKeyViolation

from service.__main__ import main
from service.accounts import usernames
from service.accounts.repository import AccountRepository
from service.audit import archive
from service.audit.archive import Archive
from service.audit.chain import hash_of
from service.audit.entry import Entry, Event
from service.audit.trail import WRITE, AuditTrail
from service.sessions.record import Client
from service.storage.postgres import Postgres
from tests.conditions import eventually
from tests.entries import DELETED, REGISTERED, add_accounts

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
    add_accounts(database, 1, 2)
    odd = Client("2001:db8::1", '"quoted" \\ slash / é 漢字 🦊 \x7f \u2028 <&>')
    for number in (1, 2, 1, 1, 2):
        audit.record(Entry(Event.SIGNED_IN, number, odd, "ab" * 32, {"methods": ["password"]}))
    for _ in range(3):
        audit.record(Entry(Event.SIGN_IN_REFUSED, 1, odd, particulars={"reason": "wrong_password"}))


def test_what_the_service_writes_verifies(run: Run, written: None) -> None:
    assert (run("verify").exit_code, run("verify").stdout) == (0, "The audit trail is complete.\n")


@pytest.mark.parametrize(
    "particulars",
    ['{"x": 1e1500}', '{"x": 0.10}', '{"x": 1E-400}', '{"b": 1, "a": "\\u001f\\"", "a": 2}', "{}"],
)
def test_whatever_the_role_of_the_service_writes_can_be_verified_listed_and_exported(
    run: Run, postgres: Postgres, particulars: str, tmp_path: Path
) -> None:
    """One row was enough to end all three commands, or to raise a false alarm."""
    with postgres.connection() as connection:
        connection.execute(WRITE, {**Entry(Event.SIGNED_IN).columns, "particulars": particulars})
    assert (run("verify").exit_code, run("list").exit_code) == (0, 0)
    lines = run("export").stdout.splitlines()
    row = json.loads(lines[1])
    assert row["hash"] == hash_of(row)
    assert verified(lines, tmp_path).exit_code == 0


@pytest.mark.parametrize(
    "field",
    [
        {"particulars": "[1]"},
        {"particulars": "1"},
        {"particulars": '{"x": 1e5000}'},
        {"particulars": '{"a":' + "[" * 3000 + "]" * 3000 + "}"},
        {"device": "x" * 5000},
    ],
    ids=str,
)
def test_a_row_that_nobody_could_read_is_not_written(
    postgres: Postgres, field: dict[str, str]
) -> None:
    columns = Entry(Event.SIGNED_IN).columns | {"particulars": "{}"} | field
    with postgres.connection() as connection, pytest.raises(CheckViolation):
        connection.execute(WRITE, columns)


@pytest.mark.parametrize("at", ["infinity", "-infinity", "2020-01-01", "9999-12-31", "epoch"])
def test_a_time_that_cannot_be_is_replaced(
    run: Run, postgres: Postgres, database: psycopg.Connection, at: str
) -> None:
    with postgres.connection() as connection:
        columns = Entry(Event.SIGNED_IN).columns | {"at": at}
        connection.execute(WRITE.replace("%(at)s", "%(at)s::timestamptz"), columns)
    recent = "SELECT at BETWEEN now() - interval '1 minute' AND now() FROM audit"
    assert database.execute(recent).fetchone() == (True,)
    assert run("verify").exit_code == 0


def test_there_are_no_entries_about_an_account_that_is_yet_to_come(postgres: Postgres) -> None:
    with postgres.connection() as connection, pytest.raises(ForeignKeyViolation):
        connection.execute(WRITE, Entry(Event.SIGNED_IN, 123456789).columns)


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

    add_accounts(database, 1, *range(100, 100 + WRITERS))
    with ThreadPoolExecutor(WRITERS) as writers:
        list(writers.map(write, range(WRITERS)))
    assert database.execute("SELECT count(*) FROM audit").fetchone() == (WRITERS * EACH,)
    assert run("verify").exit_code == 0


def test_no_more_than_twenty_places_are_shown_and_the_rest_is_mentioned(
    run: Run, audit: AuditTrail, database: psycopg.Connection
) -> None:
    add_accounts(database, *range(1, 22))
    for number in range(1, 22):
        audit.record(Entry(Event.SIGNED_OUT, number))
    database.execute("UPDATE audit SET device = 'another'")
    lines = run("verify").stdout.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "There are more than these 20."


def test_the_export_is_enough_to_verify_elsewhere(run: Run, written: None, tmp_path: Path) -> None:
    lines = run("export").stdout.splitlines()
    rows = [row for line in lines if "hash" in (row := json.loads(line))]
    assert len(rows) == 8
    assert all(row["hash"] == hash_of(row) for row in rows)
    assert all(character >= " " for line in lines for character in line)
    assert verified(lines, tmp_path).stdout == "The audit trail is complete.\n"


def verified(lines: list[str], tmp_path: Path) -> Result:
    """What `verify` says about an export, without a database."""
    file = tmp_path / "export"
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    nowhere = {"DATABASE_URL": "postgresql://nobody@localhost:1/nowhere"}
    return CliRunner(env=nowhere).invoke(main, ["audit", "verify", str(file)])


def test_an_export_of_chains_that_were_pruned_verifies(
    run: Run, audit: AuditTrail, written: None, database: psycopg.Connection, tmp_path: Path
) -> None:
    Archive(database).prune(age=-1)
    audit.record(Entry(Event.SIGNED_OUT, 1))
    assert verified(run("export").stdout.splitlines(), tmp_path).exit_code == 0


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda lines: [line.replace("signed_in", "signed_on") for line in lines], "has been"),
        (lambda lines: [line for line in lines if '"seq": 2, "prev' not in line], "row 2: missing"),
        (lambda lines: [*lines[:-2], lines[-1]], "missing, as are all up to"),
        (lambda lines: lines[:-1], "Line 12 is not what"),
        (lambda lines: [], "Line 1 is not what"),
        (lambda lines: [*lines[:3], "{", *lines[3:]], "Line 4 is not what"),
        (lambda lines: [*lines[:3], "[]", *lines[3:]], "Line 4 is not what"),
        (lambda lines: [line.replace('"pruned": 0', '"pruned": "0"') for line in lines], "Line 1"),
        (lambda lines: [line.replace('"pruned": 0', '"cut": 0') for line in lines], "Line 1 is"),
        (lambda lines: lines[4:], "is not what"),
    ],
    ids=["changed", "gap", "tail", "end", "empty", "JSON", "object", "type", "name", "chain"],
)
def test_an_export_that_was_changed_or_cut_off_does_not_verify(
    run: Run,
    written: None,
    tmp_path: Path,
    change: Callable[[list[str]], list[str]],
    found: str,
) -> None:
    result = verified(change(run("export").stdout.splitlines()), tmp_path)
    assert result.exit_code == 1
    assert found in result.output
    assert "Traceback" not in result.output


def test_a_chain_that_has_been_pruned_goes_on_while_others_still_are(
    audit: AuditTrail,
    owner_environ: dict[str, str],
    written: None,
    database: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever writes to a chain that is being pruned waits, so that must be short."""
    monkeypatch.setattr(archive, "CHAINS_AT_A_TIME", 1)
    url = owner_environ["DATABASE_URL"]
    with psycopg.connect(url) as rival, ThreadPoolExecutor(1) as pool:
        rival.execute("SELECT FROM audit_heads WHERE chain = 2 FOR UPDATE")

        def prune() -> int:
            with archive.opened(url) as opened:
                return opened.prune(age=-1)

        pruning = pool.submit(prune)
        left = "SELECT count(*) FROM audit WHERE chain = 1"
        eventually(lambda: database.execute(left).fetchone() == (0,))
        audit.record(Entry(Event.SIGNED_OUT, 1))
        assert database.execute(left).fetchone() == (1,)
        assert not pruning.done()
        rival.rollback()
        assert pruning.result(10) == 8


def test_what_is_older_than_the_retention_is_pruned_and_the_rest_verifies(
    run: Run, audit: AuditTrail, database: psycopg.Connection
) -> None:
    add_accounts(database, 1, 2)
    old = datetime.now(UTC) - timedelta(hours=2)
    # The last row of the first chain waited for Postgres, and so comes after a younger one.
    for number, at in ((1, old), (1, None), (1, old), (2, old), (2, old)):
        audit.record(Entry(Event.SIGNED_IN, number, at=at))
    assert Archive(database).prune(age=3600) == 3
    assert run("verify").exit_code == 0
    left = database.execute("SELECT chain, seq FROM audit ORDER BY id").fetchall()
    assert left == [(1, 2), (1, 3)]
    database.execute("DELETE FROM audit WHERE chain = 1 AND seq = 2")
    assert "chain 1, row 2: missing" in run("verify").stdout


def test_the_command_that_prunes_says_how_many_are_gone(run: Run, written: None) -> None:
    assert run("prune", COATCHECK_AUDIT_RETENTION="86400").stdout == "Removed 0 entries.\n"


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
    for name in ("Ada", "Bob"):
        account = accounts.insert(usernames.parse(name), "hash", "locator-----", "", REGISTERED)
        assert account
        hostile = Client("192.0.2.1", "\x9b31mred")
        entry = Entry(Event.SIGNED_IN, account.id, hostile, None, {"methods": ["password"]})
        audit.record(entry)
    lines = run("list", "--account", "BOB").stdout.splitlines()
    assert [line.split("\t")[2] for line in lines] == ["signed_in", "registered"]
    assert all(part.isprintable() for line in lines for part in line.split("\t"))
    assert len(run("list", "--limit", "2").stdout.splitlines()) == 2
    assert run("list", "--account", "nobody-at-all").stderr.startswith("Error: No account")


def test_the_list_shows_the_entries_of_a_deleted_account_by_name_and_by_id(
    run: Run, accounts: AccountRepository, audit: AuditTrail, database: psycopg.Connection
) -> None:
    bob = usernames.parse("bob")
    account = accounts.insert(bob, "hash", "locator-----", "", REGISTERED)
    assert account
    assert accounts.retire(account.id, DELETED)
    add_accounts(database, account.id + 1)
    audit.record(Entry(Event.SIGNED_IN, account.id + 1))
    by_name = run("list", "--account", "bob").stdout
    assert [line.split("\t")[1:3] for line in by_name.splitlines()] == [
        [str(account.id), "account_deleted"],
        [str(account.id), "registered"],
    ]
    database.execute("DELETE FROM accounts")  # its name is free again
    assert run("list", "--account", str(account.id)).stdout == by_name
    assert run("list", "--account", "9" * 99).stdout == ""


def test_the_service_itself_is_told_who_may_read_the_trail(
    environ: dict[str, str], database: psycopg.Connection
) -> None:
    result = CliRunner(env=environ).invoke(main, ["audit", "verify"])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Only the owner of the database may do this")
