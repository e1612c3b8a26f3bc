"""Whatever is wrong, a command says so in one line on standard error, and ends with 1."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.__main__ import main
from service.embedded import PostgresEngine
from service.web.services import services_of
from tests.commands.conftest import Done, Run
from tests.conditions import eventually
from tests.passwords import BOB
from tests.servers import ROOT

NO_POSTGRES = {"DATABASE_URL": "postgresql://nobody@localhost:1/nowhere"}
NO_REDIS = {"REDIS_URL": "unix:///nowhere/redis.sock"}
CURRENT = "/api/v1/sessions/current"


def every(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    """Every command, with an argument for each that it needs."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from every(command, *path, name)
        else:
            arguments = [each for each in command.params if isinstance(each, click.Argument)]
            needed = [each for each in arguments if each.required]
            yield (*path, name, *["bob"] * len(needed))


# `check` reports on standard output instead (tests/test_checkup.py), `serve` has a test of its own.
COMMANDS = [command for command in every(main) if command not in {("check",), ("serve",)}]
THROUGH_REDIS = [
    *(("accounts", name, "bob") for name in ("disable", "delete", "unlock")),
    *(("sessions", name, "bob") for name in ("list", "revoke")),
]
MIGRATE = ("migrate",)


def the_reason(done: Done) -> str:
    """The one line of a command that failed, and logged nothing."""
    assert (done.status, done.stdout) == (1, "")
    [line] = done.stderr.split("\n")[:-1]
    assert line.startswith("Error: ")
    assert line.isprintable()
    return line.removeprefix("Error: ")


def without_log(done: Done) -> Done:
    """The same without what it logged about a change that has happened."""
    lines = done.stderr.splitlines(keepends=True)
    return done._replace(stderr="".join(line for line in lines if not line.startswith("{")))


@pytest.fixture
def bob(app: Flask) -> FlaskClient:
    client = app.test_client()
    assert client.post("/api/v1/accounts", json=BOB).status_code == 201
    return client


@pytest.fixture
def unmigrated(postgres_engine: PostgresEngine) -> Iterator[str]:
    """A database that exists, and no more."""
    migrated = psycopg.conninfo.conninfo_to_dict(postgres_engine.url)
    name = f"unmigrated_{migrated['dbname']}"
    with psycopg.connect(postgres_engine.superuser_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" OWNER "{migrated["user"]}"')
        yield postgres_engine.url.replace(f"/{migrated['dbname']}", f"/{name}")
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_all_commands_are_here() -> None:
    assert {*THROUGH_REDIS, MIGRATE} < set(COMMANDS)
    assert len(COMMANDS) == 14


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_database_that_does_not_answer(run: Run, command: tuple[str, ...]) -> None:
    reason = the_reason(run(*command, **NO_POSTGRES))
    assert "Connection refused" in reason


def test_serve_without_its_database(environ: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service", "serve"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), **environ, **NO_POSTGRES},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    [line] = done.stderr.splitlines()
    assert (done.returncode, "Connection refused" in line) == (1, True)


@pytest.mark.parametrize("command", [each for each in COMMANDS if each != MIGRATE], ids=" ".join)
def test_a_database_that_was_never_migrated(
    run: Run, unmigrated: str, command: tuple[str, ...]
) -> None:
    reason = the_reason(run(*command, DATABASE_URL=unmigrated))
    assert "0001.accounts" in reason
    assert reason.endswith("Run `python -m service migrate`.")


@pytest.mark.parametrize("command", THROUGH_REDIS, ids=" ".join)
def test_a_redis_that_does_not_answer(run: Run, bob: FlaskClient, command: tuple[str, ...]) -> None:
    done = run(*command, **NO_REDIS, COATCHECK_THROTTLING="on")
    assert "REDIS_URL" in the_reason(without_log(done))


@pytest.mark.parametrize(
    "command",
    [each for each in COMMANDS if each not in THROUGH_REDIS],
    ids=" ".join,
)
def test_a_command_that_needs_no_redis_succeeds_without(
    run: Run, owner_environ: dict[str, str], bob: FlaskClient, command: tuple[str, ...]
) -> None:
    done = run(*command, **NO_REDIS, DATABASE_URL=owner_environ["DATABASE_URL"])
    assert done.status == 0, done


def test_a_deletion_without_redis_is_completed_without_another_command(
    run: Run, app: Flask, bob: FlaskClient
) -> None:
    done = run("accounts", "delete", "Bob", **NO_REDIS)
    assert the_reason(without_log(done)) == (
        "Bob is deleted. Its sessions end as soon as Redis answers at REDIS_URL: the service sees"
        " to that, and nothing needs to be repeated."
    )
    assert bob.get(CURRENT).status_code == 200
    services_of(app).chore.start()
    assert eventually(lambda: bob.get(CURRENT).status_code == 401, within=8)


@pytest.mark.parametrize("group", ["accounts", "audit"])
@pytest.mark.parametrize("limit", ["-1", "0", "100001", str(2**63), "9" * 5000, "many"])
def test_a_limit_that_makes_no_sense(run: Run, group: str, limit: str) -> None:
    assert the_reason(run(group, "list", "--limit", limit)).startswith(
        "Invalid value for '--limit'"
    )


def test_a_role_that_may_not(run: Run, database: psycopg.Connection) -> None:
    assert "Only the owner of the database" in the_reason(run("accounts", "release-names"))


def test_what_is_wrong_with_a_setting_cannot_control_the_terminal(run: Run) -> None:
    reason = the_reason(run("accounts", "list", **{"COATCHECK_\x1b[31mRED": "1"}))
    assert "[31mRED" in reason


def test_a_report_is_all_that_check_prints(run: Run) -> None:
    done = run("check", **NO_POSTGRES, **NO_REDIS)
    assert (done.status, done.stderr) == (1, "")
    assert [line.split(": ")[0] for line in done.stdout.splitlines()[:2]] == ["broken"] * 2


def test_disabled_accounts_are_listed_apart(run: Run, app: Flask) -> None:
    for name in ("ada", "bob", "eve"):
        app.test_client().post("/api/v1/accounts", json=BOB | {"username": name})
    run("accounts", "disable", "bob")
    run("accounts", "disable", "eve")
    run("accounts", "delete", "eve")

    def names(*options: str) -> list[str]:
        lines = run("accounts", "list", *options).stdout.splitlines()
        return [line.split("\t")[1] for line in lines]

    assert names() == ["ada"]
    assert names("--disabled") == ["bob"]
    run("accounts", "enable", "bob")
    assert names("--disabled") == []


def test_the_version_is_that_of_the_project(run: Run) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert run("--version").stdout == f"coatcheck, version {project['version']}\n"
