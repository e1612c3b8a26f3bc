"""What happens to accounts is in the audit trail, whatever fails, and nothing secret with it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import REGISTRY

from config import Settings
from service import create_app
from service.accounts import usernames
from service.accounts.repository import AccountRepository
from service.audit import trail
from service.audit.entry import Entry, Event
from service.audit.trail import AuditTrail
from service.errors import DatabaseUnavailable
from service.sessions.record import NOWHERE, Client
from service.storage.postgres import Postgres
from service.web.services import services_of
from tests.conditions import eventually
from tests.entries import DELETED, REGISTERED, add_accounts
from tests.passwords import BOB, PASSWORD

SESSIONS = "/api/v1/sessions"
CURRENT = f"{SESSIONS}/current"
OTHER = "another correct horse"
ROWS = "SELECT event, account_id, particulars, address, device, session FROM audit ORDER BY id"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
UNREACHABLE = "postgresql://nobody@localhost:1/nowhere"

Rows = Callable[[], list[Any]]


@pytest.fixture
def rows(database: psycopg.Connection) -> Rows:
    """The rows since the last call."""
    seen = 0

    def since() -> list[Any]:
        nonlocal seen
        found = database.execute(ROWS).fetchall()
        new, seen = found[seen:], len(found)
        return new

    return since


@pytest.fixture
def bob(app: Flask, rows: Rows) -> FlaskClient:
    client = app.test_client()
    assert client.post("/api/v1/accounts", json=BOB).status_code == 201
    rows()
    return client


def session(client: FlaskClient) -> str:
    found: str = client.get(CURRENT).json["session"]["handle"]
    return found


def lost() -> float:
    name = "coatcheck_audit_delayed_entries_total"
    return REGISTRY.get_sample_value(name, {"outcome": "lost"}) or 0


def test_a_row_says_who_what_whence_and_in_which_session(app: Flask, rows: Rows) -> None:
    client = app.test_client()
    client.post(
        "/api/v1/accounts",
        json=BOB,
        headers={"User-Agent": FIREFOX},
        environ_base={"REMOTE_ADDR": "192.0.2.1"},
    )
    number = client.get(CURRENT).json["account"]["id"]
    assert rows() == [
        ("registered", number, {}, "192.0.2.1", FIREFOX, None),
        (
            "signed_in",
            number,
            {"methods": ["password"]},
            "192.0.2.1",
            FIREFOX,
            session(client),
        ),
    ]


@pytest.mark.parametrize(
    ("act", "event"),
    [
        (lambda bob: bob.delete(CURRENT), "signed_out"),
        (lambda bob: bob.delete(f"{SESSIONS}/{session(bob)}"), "session_revoked"),
        (lambda bob: bob.delete(f"{SESSIONS}?scope=others"), "other_sessions_revoked"),
        (lambda bob: bob.delete(f"{SESSIONS}?scope=all"), "all_sessions_revoked"),
        (
            lambda bob: bob.put(
                "/api/v1/account/password",
                json={"current_password": PASSWORD, "new_password": OTHER},
            ),
            "password_changed",
        ),
        (
            lambda bob: bob.put(
                "/api/v1/account/password",
                json={"current_password": "wrong", "new_password": OTHER},
            ),
            "password_refused",
        ),
        (
            lambda bob: bob.delete("/api/v1/account", json={"password": "wrong"}),
            "password_refused",
        ),
        (
            lambda bob: bob.delete("/api/v1/account", json={"password": PASSWORD}),
            "account_deleted",
        ),
    ],
)
def test_what_a_user_does_is_one_row(
    bob: FlaskClient, rows: Rows, act: Callable[[FlaskClient], Any], event: str
) -> None:
    own, number = session(bob), bob.get(CURRENT).json["account"]["id"]
    act(bob)
    [row] = rows()
    assert (row[0], row[1], row[5]) == (event, number, own)


def test_a_refused_sign_in_is_one_row_whether_the_name_exists_or_not(
    bob: FlaskClient, rows: Rows
) -> None:
    number = bob.get(CURRENT).json["account"]["id"]
    for name in ("bob", "nobody-has-it"):
        bob.post(SESSIONS, json={"username": name, "password": OTHER})
    assert [row[:3] for row in rows()] == [
        ("sign_in_refused", number, {"reason": "wrong_password"}),
        ("sign_in_refused", None, {"reason": "no_such_account"}),
    ]


def test_a_right_password_leaves_a_row_while_there_is_nowhere_to_keep_a_session(
    settings: Settings, bob: FlaskClient, rows: Rows
) -> None:
    """Whoever knows the password, and tries it during an outage, shows."""
    number = bob.get(CURRENT).json["account"]["id"]
    down = create_app(settings.model_copy(update={"redis_url": "unix:///nowhere/redis.sock"}))
    assert down.test_client().post(SESSIONS, json=BOB).status_code == 503
    services_of(down).close()
    assert [row[:3] for row in rows()] == [
        ("sign_in_refused", number, {"reason": "no_session_store"})
    ]


@pytest.mark.parametrize("name", ["bob", "nobody-has-it"])
def test_a_refused_sign_in_takes_the_same_statements_whether_the_name_exists_or_not(
    app: Flask, bob: FlaskClient, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time that it takes must not tell which names exist."""
    sent: list[str] = []
    execute = psycopg.Connection.execute

    def noted(self: psycopg.Connection, query: Any, *more: Any, **options: Any) -> Any:
        sent.append(query)
        return execute(self, query, *more, **options)

    monkeypatch.setattr(psycopg.Connection, "execute", noted)
    bob.post(SESSIONS, json={"username": name, "password": OTHER})
    assert [query.split()[0] for query in sent] == ["SELECT", "INSERT"]
    assert sent[1] == trail.WRITE


def test_a_row_contains_nothing_that_a_terminal_would_obey(
    accounts: AccountRepository, audit: AuditTrail, database: psycopg.Connection, rows: Rows
) -> None:
    hostile = Client("\x1b[2J192.0.2.1\x00" + "9" * 99, "\x9b31mred\u202e\r\n\x00" + "x" * 999)
    audit.record(Entry(Event.SIGNED_IN, None, hostile))
    [row] = rows()
    assert row[3].isprintable()
    assert row[4].isprintable()
    assert (len(row[3]), len(row[4])) == (64, 256)


def test_a_change_that_does_not_happen_leaves_no_row(
    accounts: AccountRepository, rows: Rows
) -> None:
    bob = usernames.parse("bob")
    assert accounts.insert(bob, "hash", "locator-----", "key", REGISTERED)
    assert accounts.insert(bob, "hash", "locator-----", "key", REGISTERED) is None
    assert accounts.change_password(1, "another", "new", REGISTERED) is None
    assert accounts.retire_by_name(usernames.parse("ada"), DELETED) is None
    assert [row[0] for row in rows()] == ["registered"]


def test_an_entry_waits_for_postgres_and_is_written_with_its_own_time(
    postgres: Postgres, rows: Rows, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_accounts(database, 7)
    audit = AuditTrail(postgres, wake=lambda: None)
    asked: list[int] = []

    def fail() -> Any:
        asked.append(1)
        raise DatabaseUnavailable

    before = datetime.now(UTC)
    with monkeypatch.context() as down:
        down.setattr(postgres, "connection", fail)
        audit.record(Entry(Event.SIGNED_OUT, 7))
        audit.record(Entry(Event.SIGNED_IN, 7))
        assert len(asked) == 1  # an outage costs one request its time
        assert audit.write_waiting() is False
    after = datetime.now(UTC)
    audit.record(Entry(Event.SIGNED_OUT, 7))  # in its turn
    assert rows() == []
    assert audit.write_waiting() is True
    assert [row[0] for row in rows()] == ["signed_out", "signed_in", "signed_out"]
    times = [at for (at,) in database.execute("SELECT at FROM audit ORDER BY id")]
    assert before <= times[0] <= times[1] <= after


def test_the_chore_writes_what_waits_without_another_request(
    app: Flask, bob: FlaskClient, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = services_of(app).audit
    write = audit._postgres.connection

    def fail() -> Any:
        raise DatabaseUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(audit._postgres, "connection", fail)
        assert bob.delete(CURRENT).status_code == 204
    assert audit._postgres.connection == write
    eventually(lambda: [row[0] for row in rows()] == ["signed_out"])


def test_what_cannot_wait_any_longer_is_logged_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines: list[dict[str, Any]] = []
    monkeypatch.setattr(trail.log, "error", lambda _, **fields: lines.append(fields))
    monkeypatch.setattr(trail, "MOST_WAITING", 1)
    down = Postgres(UNREACHABLE)
    audit = AuditTrail(down, wake=lambda: None)
    before = lost()
    for number in (1, 2):
        audit.record(Entry(Event.SIGNED_OUT, number, Client("192.0.2.1", "curl")))
    audit.close()
    down.close()
    assert [line["why"] for line in lines] == ["too many wait", "the process ends"]
    assert [line["entry"]["account_id"] for line in lines] == [2, 1]
    assert lines[0]["entry"]["address"] == "192.0.2.1"
    assert lost() - before == 2


def test_an_entry_is_not_lost_at_the_end_while_the_chore_writes_it(
    postgres: Postgres, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = AuditTrail(postgres, wake=lambda: None)
    writing, go_on = threading.Event(), threading.Event()
    lost_entries: list[int | None] = []
    connection = postgres.connection

    def connect() -> Any:
        if threading.current_thread() is threading.main_thread():
            raise DatabaseUnavailable
        writing.set()
        assert go_on.wait(10)
        return connection()

    monkeypatch.setattr(postgres, "connection", connect)
    for number in (1, 2):
        audit.record(Entry(Event.SIGNED_OUT, number))
    with ThreadPoolExecutor(1) as pool:

        def lose(entry: Entry, _: str) -> None:
            lost_entries.append(entry.account_id)
            if len(lost_entries) == 1:
                chores.append(pool.submit(audit.write_waiting))
                writing.wait(0.5)  # it must not begin

        chores: list[Future[bool]] = []
        monkeypatch.setattr(trail, "_lose", lose)
        audit.close()
        go_on.set()
        assert chores[0].result(10) is True
    assert (lost_entries, rows()) == ([1, 2], [])


def test_an_entry_that_postgres_rejects_is_logged_and_stops_nothing(
    postgres: Postgres, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[dict[str, Any]] = []
    monkeypatch.setattr(trail.log, "error", lambda _, **fields: lines.append(fields))
    AuditTrail(postgres, wake=lambda: None).record(Entry(Event.SIGNED_OUT, 13, NOWHERE))
    assert [line["why"] for line in lines] == ["ForeignKeyViolation"]
