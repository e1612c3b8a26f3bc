from __future__ import annotations

import psycopg
import pytest
from click.testing import CliRunner, Result
from flask import Flask

from service.__main__ import main
from service.errors import NoSuchAccount, SessionRevoked, SessionStoreUnavailable
from service.sessions.record import NOWHERE, NewSession
from service.web.services import Services, services_of
from tests.passwords import BOB, PASSWORD


@pytest.fixture
def services(app: Flask) -> Services:
    return services_of(app)


def test_deleting_an_account_ends_every_session_of_it(app: Flask, services: Services) -> None:
    """G6: deleted is signed out."""
    clients = [app.test_client() for _ in range(3)]
    clients[0].post("/api/v1/accounts", json=BOB)
    for client in clients[1:]:
        client.post("/api/v1/sessions", json=BOB)
    assert services.revocation.delete("bob") == 3
    for client in clients:
        assert client.get("/api/v1/sessions/current").status_code == 401
    assert clients[0].post("/api/v1/sessions", json=BOB).status_code == 401
    assert clients[0].post("/api/v1/accounts", json=BOB).status_code == 409


def test_a_login_under_way_when_its_account_is_deleted_gets_no_session(
    app: Flask, services: Services
) -> None:
    """G6: a login does not outlive its account."""
    app.test_client().post("/api/v1/accounts", json=BOB)
    account = services.password_factor.prove("bob", PASSWORD, NOWHERE).account
    services.revocation.delete("bob")
    with pytest.raises(SessionRevoked):
        services.session_store.create(
            NewSession(locator=account.locator, epoch=account.session_epoch), {}
        )


def test_a_name_without_an_account_cannot_be_deleted(services: Services) -> None:
    with pytest.raises(NoSuchAccount):
        services.revocation.delete("bob")


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
    app: Flask, environ: dict[str, str], database: psycopg.Connection
) -> None:
    client = app.test_client()
    client.post("/api/v1/accounts", json=BOB)
    deleted = command(environ, "accounts", "delete", "BOB")
    assert (deleted.exit_code, deleted.stdout) == (0, "Deleted BOB and ended 1 session.\n")
    unknown = command(environ, "accounts", "delete", "ada")
    assert (unknown.exit_code, unknown.stderr) == (
        1,
        "Error: No account has that username.\n",
    )
    database.execute("UPDATE accounts SET retired_at = retired_at - interval '31 days'")
    assert command(environ, "accounts", "release-names").stdout == "Freed 1 name.\n"


def test_a_deletion_cut_short_is_finished_when_its_owner_repeats_it(
    app: Flask, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, elsewhere = app.test_client(), app.test_client()
    owner.post("/api/v1/accounts", json=BOB)
    elsewhere.post("/api/v1/sessions", json=BOB)

    def fail(*_: object) -> int:
        raise SessionStoreUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(services.session_store, "revoke_all", fail)
        assert owner.delete("/api/v1/account", json={"password": PASSWORD}).status_code == 503
    assert owner.delete("/api/v1/account", json={"password": PASSWORD}).status_code == 401
    for client in (owner, elsewhere):
        assert client.get("/api/v1/sessions/current").status_code == 401


def test_a_deletion_whose_sessions_could_not_be_ended_can_be_repeated(
    app: Flask, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = app.test_client()
    client.post("/api/v1/accounts", json=BOB)

    def fail(*_: object) -> int:
        raise SessionStoreUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(services.session_store, "revoke_all", fail)
        with pytest.raises(SessionStoreUnavailable):
            services.revocation.delete("bob")
    assert services.revocation.delete("bob") == 1
    assert client.get("/api/v1/sessions/current").status_code == 401
