from __future__ import annotations

import psycopg
import pytest
from redis import Redis

from service.accounts.account import Account
from service.accounts.repository import AccountRepository
from service.accounts.usernames import Username
from service.audit.entry import Entry
from service.audit.trail import AuditTrail
from service.errors import (
    DatabaseUnavailable,
    InvalidInput,
    RegistrationUnresolved,
    UsernameTaken,
)
from service.registration.registration import Registration
from service.registration.username_cache import UsernameCache
from service.storage.postgres import Postgres
from tests.passwords import PASSWORD, POLICY
from tests.registration.attempts import CountingHasher, race, rows
from tests.throttles import UNTHROTTLED


def test_a_request_repeated_with_its_key_returns_its_account(
    registration: Registration, redis: Redis
) -> None:
    """G3: a client that lost the 201 gets it when it repeats the request."""
    account = registration.register("bob", PASSWORD, "key")
    assert registration.register("bob", PASSWORD, "key") == account
    redis.flushall()
    assert registration.register("bob", PASSWORD, "key") == account


def test_a_key_proves_nothing_without_the_password(registration: Registration) -> None:
    registration.register("bob", PASSWORD, "key")
    with pytest.raises(UsernameTaken):
        registration.register("bob", "another password", "key")


@pytest.mark.parametrize("key", [None, "another-key"])
def test_without_the_key_the_password_alone_returns_no_account(
    registration: Registration, key: str | None
) -> None:
    registration.register("bob", PASSWORD, "key")
    with pytest.raises(UsernameTaken):
        registration.register("bob", PASSWORD, key)


def test_a_hot_duplicate_with_a_foreign_key_costs_neither_hash_nor_postgres(
    registration: Registration, hasher: CountingHasher, database: psycopg.Connection
) -> None:
    registration.register("bob", PASSWORD, "key")
    database.execute("TRUNCATE accounts CASCADE")
    with pytest.raises(UsernameTaken):
        registration.register("bob", PASSWORD, "another-key")
    assert hasher.hashes == 1


def test_a_key_expires_after_a_day(
    registration: Registration, database: psycopg.Connection, redis: Redis
) -> None:
    registration.register("bob", PASSWORD, "key")
    database.execute("UPDATE accounts SET created_at = created_at - interval '25 hours'")
    redis.flushall()
    with pytest.raises(UsernameTaken):
        registration.register("bob", PASSWORD, "key")


def test_a_double_click_signs_in_twice_and_registers_once(
    registration: Registration, database: psycopg.Connection
) -> None:
    for round_ in range(5):
        outcomes = race(2, lambda name=f"name{round_}": registration.register(name, PASSWORD, "k"))
        first, second = outcomes
        assert isinstance(first, Account)
        assert first == second
    assert len(rows(database)) == 5


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "nul\0", "clé"])
def test_a_malformed_key_is_rejected(registration: Registration, key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        registration.register("bob", PASSWORD, key)
    assert [error.field for error in caught.value.errors] == ["Idempotency-Key"]


class LossyRepository(AccountRepository):
    """Loses the answers to the first `lost` INSERTs, which are carried out or not."""

    def __init__(self, postgres: Postgres, lost: int, carried_out: bool) -> None:
        super().__init__(postgres, quarantine=86400)
        self.lost = lost
        self.carried_out = carried_out

    def insert(
        self,
        username: Username,
        password_hash: str,
        locator: str,
        key_digest: str,
        entry: Entry,
    ) -> Account | None:
        if self.lost == 0:
            return super().insert(username, password_hash, locator, key_digest, entry)
        self.lost -= 1
        if self.carried_out:
            super().insert(username, password_hash, locator, key_digest, entry)
        raise DatabaseUnavailable(may_have_happened=True)


@pytest.mark.parametrize("carried_out", [True, False])
def test_the_outcome_of_an_insert_without_an_answer_is_found_out(
    postgres: Postgres,
    cache: UsernameCache,
    hasher: CountingHasher,
    database: psycopg.Connection,
    carried_out: bool,
    audit: AuditTrail,
) -> None:
    """G3: what the connection lost, the next one finds."""
    lossy = LossyRepository(postgres, lost=1, carried_out=carried_out)
    account = Registration(lossy, cache, hasher, POLICY, audit, UNTHROTTLED).register(
        "bob", PASSWORD
    )
    assert account.username == "bob"
    assert rows(database) == ["bob"]
    assert hasher.hashes == 1


@pytest.mark.parametrize("carried_out", [True, False])
def test_a_request_whose_outcome_stays_unknown_is_safe_to_repeat(
    postgres: Postgres,
    cache: UsernameCache,
    hasher: CountingHasher,
    carried_out: bool,
    audit: AuditTrail,
) -> None:
    """G3: the key in the response makes the repetition safe."""
    lossy = LossyRepository(postgres, lost=2, carried_out=carried_out)
    registration = Registration(lossy, cache, hasher, POLICY, audit, UNTHROTTLED)
    with pytest.raises(RegistrationUnresolved) as caught:
        registration.register("bob", PASSWORD)
    assert registration.register("bob", PASSWORD, caught.value.idempotency_key).username == "bob"
