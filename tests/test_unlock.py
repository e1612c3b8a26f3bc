"""The operator sees that sign-ins are blocked, and ends the block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from flask import Flask
from redis import Redis

from service.__main__ import main
from service.accounts.known_devices import KnownDevices
from service.errors import TooManyRequests
from service.storage.postgres import Postgres
from service.throttling import buckets
from service.throttling.buckets import Bucket
from service.throttling.rules import ThrottleRules
from service.throttling.table import TABLE, Limited
from service.throttling.throttle import Throttle
from tests.passwords import BOB

Run = Callable[..., Result]
UNLOCK, SHOW = ("accounts", "unlock", "bob"), ("accounts", "show", "bob")


@pytest.fixture
def run(environ: dict[str, str]) -> Run:
    """Runs a command with throttling, or as `more` says."""

    def run_(*arguments: str, **more: str) -> Result:
        env = environ | {"COATCHECK_THROTTLING": "on"} | more
        return CliRunner(env=env).invoke(main, [*arguments])

    return run_


@pytest.fixture
def limited(redis: Redis) -> Throttle:
    return Throttle(redis, ThrottleRules(TABLE))


@pytest.fixture
def account(app: Flask) -> int:
    registered: Any = app.test_client().post("/api/v1/accounts", json=BOB)
    return int(registered.json["account"]["id"])


def use_up(limited: Throttle, *used: Bucket) -> None:
    for _ in range(1000):
        try:
            limited.charge(used)
        except TooManyRequests:
            return


def blocked(result: Result) -> str:
    assert result.exit_code == 0
    [line] = [line for line in result.stdout.splitlines() if line.startswith("sign-ins")]
    return line.partition("\t")[2]


@pytest.mark.parametrize("limit", [Limited.LOGIN_ACCOUNT, Limited.LOGIN_FAILURES])
def test_what_strangers_have_used_up_is_free_again(
    run: Run, limited: Throttle, account: int, limit: Limited
) -> None:
    used = Bucket(limit, ("bob",))
    use_up(limited, used)
    assert run(*UNLOCK).stdout == "Unblocked bob.\n"
    limited.charge([used])
    assert run(*UNLOCK).stdout == "bob was not blocked.\n"


def test_a_known_device_is_free_again(
    run: Run, limited: Throttle, account: int, postgres: Postgres
) -> None:
    (mark,) = KnownDevices(postgres).remember(account, epoch=0)
    _, failures = buckets.login_on_known_device("bob", mark.digest.hex())
    use_up(limited, failures)
    assert run(*UNLOCK).stdout == "Unblocked bob.\n"
    limited.charge([failures])


def test_an_account_shows_whether_new_devices_are_blocked(
    run: Run, limited: Throttle, account: int
) -> None:
    assert blocked(run(*SHOW)) == "allowed"
    use_up(limited, Bucket(Limited.LOGIN_FAILURES, ("bob",)))
    assert blocked(run(*SHOW)) == "blocked"
    run(*UNLOCK)
    assert blocked(run(*SHOW)) == "allowed"
    nowhere = blocked(run(*SHOW, REDIS_URL="unix:///nowhere/redis.sock"))
    assert nowhere == "unknown, because Redis does not answer"


def test_it_is_in_the_audit_trail(run: Run, account: int, database: psycopg.Connection) -> None:
    run(*UNLOCK)
    newest = "SELECT event, account_id, device FROM audit ORDER BY id DESC LIMIT 1"
    assert database.execute(newest).fetchone() == ("account_unlocked", account, "command line")


def test_without_throttling_it_says_that_it_has_done_nothing(
    run: Run, account: int, database: psycopg.Connection
) -> None:
    result = run(*UNLOCK, COATCHECK_THROTTLING="off")
    assert result.exit_code == 1
    assert "COATCHECK_THROTTLING is off" in result.stderr
    unlocked = database.execute("SELECT FROM audit WHERE event = 'account_unlocked'")
    assert unlocked.fetchone() is None
