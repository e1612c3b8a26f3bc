from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from redis import Redis

from service.accounts.repository import AccountRepository
from service.audit.trail import AuditTrail
from service.credentials.hashing import PasswordHasher
from service.errors import (
    InvalidInput,
    TooManyHashes,
    UsernameTaken,
)
from service.registration.registration import Registration
from service.registration.username_cache import State, Taken, UsernameCache
from tests.conditions import elapse
from tests.hashes import held_hashes
from tests.passwords import PASSWORD, POLICY
from tests.registration.attempts import BOB, CountingHasher, rows
from tests.throttles import UNTHROTTLED


def test_a_free_name_is_registered_and_cached_as_taken(
    registration: Registration, cache: UsernameCache, database: psycopg.Connection
) -> None:
    account = registration.register("Bob", PASSWORD)
    assert account.username == "Bob"
    assert len(account.locator) == 12
    assert rows(database) == ["bob"]
    assert isinstance(cache.state(BOB), Taken)


def test_a_cached_duplicate_costs_neither_a_hash_nor_postgres(
    registration: Registration, hasher: CountingHasher, database: psycopg.Connection
) -> None:
    """G4: a hot duplicate costs no statement and no hash."""
    registration.register("bob", PASSWORD)
    database.execute("TRUNCATE accounts CASCADE")
    with pytest.raises(UsernameTaken):
        registration.register("BOB", PASSWORD)
    assert hasher.hashes == 1


def test_an_uncached_duplicate_costs_no_hash_and_is_cached_from_then_on(
    registration: Registration, hasher: CountingHasher, cache: UsernameCache, redis: Redis
) -> None:
    registration.register("bob", PASSWORD)
    redis.flushall()
    with pytest.raises(UsernameTaken):
        registration.register("bob", PASSWORD)
    assert hasher.hashes == 1
    assert isinstance(cache.state(BOB), Taken)


def test_everything_that_is_wrong_is_reported_at_once(registration: Registration) -> None:
    with pytest.raises(InvalidInput) as caught:
        registration.register("x", "short")
    assert [error.field for error in caught.value.errors] == ["username", "password"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("nobody-has-it", None), ("taken", "taken"), ("Admin", "reserved"), ("x", "invalid")],
)
def test_availability_says_why_a_name_cannot_be_registered(
    registration: Registration, name: str, reason: str | None
) -> None:
    registration.register("taken", PASSWORD)
    assert registration.availability(name) == reason


def test_availability_of_a_taken_name_does_not_depend_on_the_cache(
    registration: Registration, redis: Redis
) -> None:
    """G5: Redis is never the authority on names."""
    registration.register("bob", PASSWORD)
    redis.flushall()
    assert registration.availability("bob") == "taken"


def test_a_registration_whose_turn_to_hash_comes_too_late_frees_the_name_at_once(
    accounts: AccountRepository,
    cache: UsernameCache,
    database: psycopg.Connection,
    audit: AuditTrail,
) -> None:
    busy = PasswordHasher(memory_kib=64, time_cost=1, threads=1, longest_wait=0.05)
    registration = Registration(accounts, cache, busy, POLICY, audit, UNTHROTTLED)
    with held_hashes() as hashes, ThreadPoolExecutor() as callers:
        callers.submit(busy.hash, "another password")
        hashes.await_queued()
        hashes.await_begun()
        rejected = callers.submit(registration.register, "bob", PASSWORD)
        hashes.await_queued()
        assert registration.availability("bob") == "pending"
        elapse(0.1)
        hashes.go_on()
        with pytest.raises(TooManyHashes):
            rejected.result(10)
    assert cache.state(BOB) is State.ABSENT
    assert rows(database) == []
    assert registration.register("bob", PASSWORD)


def test_a_full_queue_of_hashes_does_not_delay_a_duplicate(
    accounts: AccountRepository,
    cache: UsernameCache,
    redis: Redis,
    audit: AuditTrail,
) -> None:
    """The cache and the index both reject it before it has to wait."""
    busy = PasswordHasher(memory_kib=64, time_cost=1, threads=1, longest_wait=60.0)
    registration = Registration(accounts, cache, busy, POLICY, audit, UNTHROTTLED)
    registration.register("bob", PASSWORD)
    with ThreadPoolExecutor() as callers, held_hashes() as hashes:
        callers.submit(busy.hash, "another password")
        hashes.await_begun()
        for forget in (lambda: None, redis.flushall):
            forget()
            with pytest.raises(UsernameTaken):
                registration.register("bob", PASSWORD)


def test_an_attempt_asks_redis_three_times(registration: Registration, redis: Redis) -> None:
    """Each round trip costs a busy worker more than the answer is worth."""
    registration.register("ada", PASSWORD)  # loads the scripts into Redis
    redis.config_resetstat()
    registration.register("bob", PASSWORD)
    stats = redis.info("commandstats")
    calls = {name: stats[f"cmdstat_{name}"]["calls"] for name in ("evalsha", "set")}
    # One SET is inside the claim script, and one publishes the name.
    assert calls == {"evalsha": 1, "set": 2}
    assert stats["cmdstat_get"]["calls"] == 1  # inside the claim script
