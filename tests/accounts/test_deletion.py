from __future__ import annotations

import psycopg
import pytest
from click.testing import CliRunner, Result
from flask import Flask

from service.__main__ import main
from service.errors import NoSuchAccount, SessionRevoked
from service.sessions.record import NOWHERE, NewSession
from service.web.services import Services
from tests.passwords import BOB, PASSWORD


def test_deleting_an_account_ends_every_session_of_it(app: Flask, services: Services) -> None:
    """G6: deleted is signed out."""
    clients = [app.test_client() for _ in range(3)]
    clients[0].post("/api/v1/accounts", json=BOB)
    for client in clients[1:]:
        client.post("/api/v1/sessions", json=BOB)
    assert services.revocation.delete_by_name("bob", NOWHERE) == 3
    for client in clients:
        assert client.get("/api/v1/sessions/current").status_code == 401
    assert clients[0].post("/api/v1/sessions", json=BOB).status_code == 401
    assert clients[0].post("/api/v1/accounts", json=BOB).status_code == 409


def test_a_login_under_way_when_its_account_is_deleted_gets_no_session(
    app: Flask, services: Services
) -> None:
    """G6: a login does not outlive its account."""
    app.test_client().post("/api/v1/accounts", json=BOB)
    account = services.password_factor.prove("bob", PASSWORD).account
    services.revocation.delete_by_name("bob", NOWHERE)
    with pytest.raises(SessionRevoked):
        services.session_store.create(
            NewSession(locator=account.locator, epoch=account.session_epoch), {}
        )


def test_a_name_without_an_account_cannot_be_deleted(services: Services) -> None:
    with pytest.raises(NoSuchAccount):
        services.revocation.delete_by_name("bob", NOWHERE)


def command(environ: dict[str, str], *arguments: str) -> Result:
    return CliRunner(env=environ).invoke(main, arguments)


def test_the_command_line_says_in_a_sentence_what_is_wrong(
    environ: dict[str, str], database: psycopg.Connection
) -> None:
    unknown = command(environ, "accounts", "show", "nobody-at-all")
    assert (unknown.exit_code, unknown.output) == (
        1,
        "Error: No account has that username.\n",
    )
    invalid = command(environ, "accounts", "show", "x")
    assert invalid.output == "Error: A username needs at least 2 characters.\n"


def test_the_command_line_deletes_and_releases(
    app: Flask,
    environ: dict[str, str],
    owner_environ: dict[str, str],
    database: psycopg.Connection,
) -> None:
    client = app.test_client()
    client.post("/api/v1/accounts", json=BOB)
    deleted = command(environ, "accounts", "delete", "BOB")
    assert (deleted.exit_code, deleted.stdout) == (0, "Deleted BOB and ended 1 session.\n")
    for name in ("ada", "bob"):  # nobody has the one, and the other is deleted
        unknown = command(environ, "accounts", "delete", name)
        assert (unknown.exit_code, unknown.stderr) == (
            1,
            "Error: No account has that username.\n",
        )
    entries = database.execute("SELECT event FROM audit WHERE event = 'account_deleted'")
    assert len(entries.fetchall()) == 1
    database.execute("UPDATE accounts SET retired_at = retired_at - interval '31 days'")
    refused = command(environ, "accounts", "release-names")
    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: Only the owner of the database may do this")
    assert command(owner_environ, "accounts", "release-names").stdout == "Freed 1 name.\n"


def test_the_command_line_shows_no_control_characters(app: Flask, environ: dict[str, str]) -> None:
    """A terminal would obey what a browser calls itself."""
    app.test_client().post(
        "/api/v1/accounts", json=BOB, headers={"User-Agent": "\x9b31mFirefox/140.0"}
    )
    listed = command(environ, "sessions", "list", "bob").stdout
    assert "Firefox" in listed
    assert all(part.isprintable() for part in listed.rstrip("\n").split("\t"))
