from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import pytest
from redis import Redis

from service.accounts.account import Account
from service.accounts.repository import AccountRepository
from service.audit.trail import AuditTrail
from service.errors import DatabaseUnavailable, NameJustReleased, UsernameTaken
from service.registration.registration import Registration
from service.registration.username_cache import State, Taken, UsernameCache
from service.storage.redis import connect
from tests.conditions import eventually
from tests.entries import DELETED, REGISTERED
from tests.passwords import PASSWORD, POLICY
from tests.registration.attempts import BOB, CountingHasher, race, rows
from tests.throttles import UNTHROTTLED


def test_a_race_for_one_name_has_one_winner_at_the_price_of_one_hash(
    registration: Registration, hasher: CountingHasher, database: psycopg.Connection
) -> None:
    """G1 and G4: one winner, and one hash for all."""
    for round_ in range(5):
        hasher.hashes = 0
        outcomes = race(20, lambda name=f"name{round_}": registration.register(name, PASSWORD))
        assert sum(isinstance(outcome, Account) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, UsernameTaken) for outcome in outcomes) == 19
        assert hasher.hashes == 1
    assert len(rows(database)) == 5


def test_without_the_cache_a_race_still_has_one_winner(
    accounts: AccountRepository,
    hasher: CountingHasher,
    database: psycopg.Connection,
    audit: AuditTrail,
) -> None:
    """G5: without Redis, G1 still holds."""
    nowhere = UsernameCache(connect("unix:///nowhere/redis.sock"))
    registration = Registration(accounts, nowhere, hasher, POLICY, audit, UNTHROTTLED)
    outcomes = race(20, lambda: registration.register("bob", PASSWORD))
    assert sum(isinstance(outcome, Account) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, UsernameTaken) for outcome in outcomes) == 19
    assert rows(database) == ["bob"]


def test_a_rival_that_commits_while_we_hash_wins(
    registration: Registration, accounts: AccountRepository, hasher: CountingHasher
) -> None:
    hasher.meanwhile = lambda: accounts.insert(BOB, "rival's", "locator", "key", REGISTERED)
    with pytest.raises(UsernameTaken):
        registration.register("bob", PASSWORD)


def test_an_attempt_that_loses_to_a_rival_keeps_no_claim(
    registration: Registration,
    accounts: AccountRepository,
    hasher: CountingHasher,
    cache: UsernameCache,
    database: psycopg.Connection,
) -> None:
    """A name that is retired for most of its quarantine is not published over the claim."""

    def rival_comes_and_goes() -> None:
        accounts.insert(BOB, "rival's", "locator", "key", REGISTERED)
        accounts.retire_by_name(BOB, DELETED)
        database.execute("UPDATE accounts SET retired_at = retired_at - interval '23 hours'")

    hasher.meanwhile = rival_comes_and_goes
    with pytest.raises(UsernameTaken):
        registration.register("bob", PASSWORD)
    assert cache.state(BOB) is State.ABSENT


def test_a_name_that_is_released_during_an_attempt_can_be_tried_again(
    registration: Registration,
    accounts: AccountRepository,
    hasher: CountingHasher,
    database: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Postgres is well, so this is no outage."""
    insert = accounts.insert

    def insert_before_the_release(*arguments: Any) -> Account | None:
        outcome = insert(*arguments)
        database.execute("DELETE FROM accounts")
        return outcome

    hasher.meanwhile = lambda: insert(BOB, "rival's", "locator", "key", REGISTERED) and None
    with monkeypatch.context() as slow:
        slow.setattr(accounts, "insert", insert_before_the_release)
        with pytest.raises(NameJustReleased):
            registration.register("bob", PASSWORD)
    hasher.meanwhile = lambda: None
    assert registration.register("bob", PASSWORD)


def test_an_attempt_that_fails_frees_the_name_at_once(
    registration: Registration,
    accounts: AccountRepository,
    cache: UsernameCache,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise DatabaseUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(accounts, "insert", fail)
        with pytest.raises(DatabaseUnavailable):
            registration.register("bob", PASSWORD)
    assert cache.state(BOB) is State.ABSENT
    assert registration.register("bob", PASSWORD)


def test_a_name_is_not_called_taken_while_its_attempt_may_still_fail(
    registration: Registration, hasher: CountingHasher
) -> None:
    """G2: 409 is the truth."""
    seen = []
    hasher.meanwhile = lambda: seen.append(registration.availability("bob"))
    registration.register("bob", PASSWORD)
    assert seen == ["pending"]


def test_a_claim_of_a_dead_worker_does_not_block_the_name(
    registration: Registration, cache: UsernameCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.registration.names.RIVAL_TIMEOUT", 0.1)
    cache.claim(BOB, "token of a worker that died")
    assert registration.register("bob", PASSWORD)


def test_a_claim_whose_worker_died_after_its_commit_delays_others_only_briefly(
    registration: Registration, accounts: AccountRepository, cache: UsernameCache
) -> None:
    cache.claim(BOB, "token of a worker that died")
    accounts.insert(BOB, "hash", "locator", "key", REGISTERED)
    started = time.monotonic()
    with pytest.raises(UsernameTaken):
        registration.register("bob", PASSWORD)
    assert time.monotonic() - started < 2
    assert isinstance(cache.state(BOB), Taken)


def test_all_the_requests_that_wait_in_one_process_poll_redis_as_one(
    registration: Registration, cache: UsernameCache, redis: Redis
) -> None:
    cache.claim(BOB, "a rival in another worker")
    redis.config_resetstat()
    waiting = threading.Thread(
        target=race, args=(200, lambda: registration.register("bob", PASSWORD))
    )
    waiting.start()
    polls = eventually(
        lambda: (
            (n := redis.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)) >= 5 and n
        )
    )
    assert polls < 40
    cache.publish(BOB, Taken(""))
    waiting.join(30)
    assert not waiting.is_alive()


def test_requests_that_wait_too_long_proceed_one_at_a_time(
    registration: Registration,
    cache: UsernameCache,
    hasher: CountingHasher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.registration.names.RIVAL_TIMEOUT", 0.3)
    cache.claim(BOB, "token of a worker that died")
    outcomes = race(50, lambda: registration.register("bob", PASSWORD))
    assert sum(isinstance(outcome, Account) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, UsernameTaken) for outcome in outcomes) == 49
    assert hasher.hashes == 1
