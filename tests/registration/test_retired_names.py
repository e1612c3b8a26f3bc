from __future__ import annotations

import psycopg
import pytest
from redis import Redis

from service.accounts.repository import AccountRepository
from service.errors import (
    UsernameTaken,
)
from service.registration.registration import Registration
from service.registration.username_cache import State, UsernameCache
from tests.entries import DELETED
from tests.passwords import PASSWORD
from tests.registration.attempts import BOB


def test_a_retired_name_stays_taken_and_is_released_after_its_quarantine(
    registration: Registration,
    accounts: AccountRepository,
    owned_accounts: AccountRepository,
    database: psycopg.Connection,
    redis: Redis,
) -> None:
    registration.register("Bob", PASSWORD)
    assert accounts.retire_by_name(BOB, DELETED)
    redis.flushall()
    with pytest.raises(UsernameTaken):
        registration.register("bob", PASSWORD)
    assert registration.availability("bob") == "taken"
    assert owned_accounts.release_retired() == 0
    database.execute("UPDATE accounts SET retired_at = retired_at - interval '25 hours'")
    redis.flushall()
    assert owned_accounts.release_retired() == 1
    assert owned_accounts.release_retired() == 0
    assert registration.register("bob", PASSWORD)


def test_shortly_before_its_release_a_retired_name_is_no_longer_cached(
    registration: Registration,
    accounts: AccountRepository,
    cache: UsernameCache,
    database: psycopg.Connection,
    redis: Redis,
) -> None:
    """An entry that outlives the quarantine would call a free name taken."""
    registration.register("bob", PASSWORD)
    accounts.retire_by_name(BOB, DELETED)
    database.execute("UPDATE accounts SET retired_at = retired_at - interval '23 hours'")
    redis.flushall()
    with pytest.raises(UsernameTaken):
        registration.register("bob", PASSWORD)
    assert cache.state(BOB) is State.ABSENT


def test_a_retired_account_keeps_nothing_of_its_owner(
    registration: Registration, accounts: AccountRepository, database: psycopg.Connection
) -> None:
    registration.register("Bob", PASSWORD, "key")
    accounts.retire_by_name(BOB, DELETED)
    kept = database.execute("SELECT username, password_hash, registration_key FROM accounts")
    assert kept.fetchone() == ("", "", "")
    assert accounts.credentials(BOB) is None
    assert accounts.newest_members(10, None) == []
