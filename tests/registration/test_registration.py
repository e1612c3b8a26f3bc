from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from redis import Redis

from service.accounts import usernames
from service.accounts.account import Account
from service.accounts.repository import AccountRepository
from service.accounts.usernames import Username
from service.credentials.hashing import PasswordHasher
from service.errors import (
    CoatcheckError,
    DatabaseUnavailable,
    InvalidInput,
    RegistrationUnresolved,
    TooManyHashes,
    UsernameTaken,
)
from service.registration.registration import Registration
from service.registration.username_cache import State, Taken, UsernameCache
from service.storage.postgres import Postgres
from service.storage.redis import connect
from tests.conditions import eventually

PASSWORD = "correct horse battery"
BOB = usernames.parse("bob")


class CountingHasher(PasswordHasher):
    """Counts its hashes, and calls `meanwhile` before each."""

    def __init__(self) -> None:
        super().__init__(memory_kib=64, time_cost=1, threads=2, longest_wait=60.0)
        self.hashes = 0
        self.meanwhile: Callable[[], None] = lambda: None

    def hash(self, password: str) -> str:
        self.hashes += 1
        self.meanwhile()
        return super().hash(password)


@pytest.fixture
def cache(redis: Redis) -> UsernameCache:
    return UsernameCache(redis)


@pytest.fixture
def hasher() -> CountingHasher:
    return CountingHasher()


@pytest.fixture
def registration(
    accounts: AccountRepository, cache: UsernameCache, hasher: CountingHasher
) -> Registration:
    return Registration(accounts, cache, hasher)


def rows(database: psycopg.Connection) -> list[str]:
    return [name for (name,) in database.execute("SELECT canonical_username FROM accounts")]


def race(attempts: int, register: Callable[[], Account]) -> list[Account | Exception]:
    """Call `register` from `attempts` threads at once."""
    barrier = threading.Barrier(attempts)
    outcomes: list[Account | Exception] = []

    def attempt() -> None:
        barrier.wait(10)
        try:
            outcomes.append(register())
        except CoatcheckError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(attempts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return outcomes


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
    registration.register("bob", PASSWORD)
    database.execute("TRUNCATE accounts")
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


def test_a_race_for_one_name_has_one_winner_at_the_price_of_one_hash(
    registration: Registration, hasher: CountingHasher, database: psycopg.Connection
) -> None:
    for round_ in range(5):
        hasher.hashes = 0
        outcomes = race(20, lambda name=f"name{round_}": registration.register(name, PASSWORD))
        assert sum(isinstance(outcome, Account) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, UsernameTaken) for outcome in outcomes) == 19
        assert hasher.hashes == 1
    assert len(rows(database)) == 5


def test_without_the_cache_a_race_still_has_one_winner(
    accounts: AccountRepository, hasher: CountingHasher, database: psycopg.Connection
) -> None:
    nowhere = UsernameCache(connect("unix:///nowhere/redis.sock"))
    registration = Registration(accounts, nowhere, hasher)
    outcomes = race(20, lambda: registration.register("bob", PASSWORD))
    assert sum(isinstance(outcome, Account) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, UsernameTaken) for outcome in outcomes) == 19
    assert rows(database) == ["bob"]


def test_a_rival_that_commits_while_we_hash_wins(
    registration: Registration, accounts: AccountRepository, hasher: CountingHasher
) -> None:
    hasher.meanwhile = lambda: accounts.insert(BOB, "rival's", "locator", "key")
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
        accounts.insert(BOB, "rival's", "locator", "key")
        accounts.retire(BOB)
        database.execute("UPDATE accounts SET retired_at = retired_at - interval '23 hours'")

    hasher.meanwhile = rival_comes_and_goes
    with pytest.raises(UsernameTaken):
        registration.register("bob", PASSWORD)
    assert cache.state(BOB) is State.ABSENT


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
    accounts.insert(BOB, "hash", "locator", "key")
    started = time.monotonic()
    with pytest.raises(UsernameTaken):
        registration.register("bob", PASSWORD)
    assert time.monotonic() - started < 2
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
    registration.register("bob", PASSWORD)
    redis.flushall()
    assert registration.availability("bob") == "taken"


def test_a_request_repeated_with_its_key_returns_its_account(
    registration: Registration, redis: Redis
) -> None:
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
    database.execute("TRUNCATE accounts")
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
        self, username: Username, password_hash: str, locator: str, key_digest: str
    ) -> Account | None:
        if self.lost == 0:
            return super().insert(username, password_hash, locator, key_digest)
        self.lost -= 1
        if self.carried_out:
            super().insert(username, password_hash, locator, key_digest)
        raise DatabaseUnavailable(may_have_happened=True)


@pytest.mark.parametrize("carried_out", [True, False])
def test_the_outcome_of_an_insert_without_an_answer_is_found_out(
    accounts: AccountRepository,
    cache: UsernameCache,
    hasher: CountingHasher,
    database: psycopg.Connection,
    carried_out: bool,
) -> None:
    lossy = LossyRepository(accounts._postgres, lost=1, carried_out=carried_out)
    account = Registration(lossy, cache, hasher).register("bob", PASSWORD)
    assert account.username == "bob"
    assert rows(database) == ["bob"]
    assert hasher.hashes == 1


@pytest.mark.parametrize("carried_out", [True, False])
def test_a_request_whose_outcome_stays_unknown_is_safe_to_repeat(
    accounts: AccountRepository, cache: UsernameCache, hasher: CountingHasher, carried_out: bool
) -> None:
    lossy = LossyRepository(accounts._postgres, lost=2, carried_out=carried_out)
    registration = Registration(lossy, cache, hasher)
    with pytest.raises(RegistrationUnresolved) as caught:
        registration.register("bob", PASSWORD)
    assert registration.register("bob", PASSWORD, caught.value.idempotency_key).username == "bob"


def test_a_retired_name_stays_taken_and_is_released_after_its_quarantine(
    registration: Registration,
    accounts: AccountRepository,
    database: psycopg.Connection,
    redis: Redis,
) -> None:
    registration.register("Bob", PASSWORD)
    assert accounts.retire(BOB)
    redis.flushall()
    with pytest.raises(UsernameTaken):
        registration.register("bob", PASSWORD)
    assert registration.availability("bob") == "taken"
    assert accounts.release_retired() == 0
    database.execute("UPDATE accounts SET retired_at = retired_at - interval '25 hours'")
    redis.flushall()
    assert accounts.release_retired() == 1
    assert accounts.release_retired() == 0
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
    accounts.retire(BOB)
    database.execute("UPDATE accounts SET retired_at = retired_at - interval '23 hours'")
    redis.flushall()
    with pytest.raises(UsernameTaken):
        registration.register("bob", PASSWORD)
    assert cache.state(BOB) is State.ABSENT


def test_a_retired_account_keeps_nothing_of_its_owner(
    registration: Registration, accounts: AccountRepository, database: psycopg.Connection
) -> None:
    registration.register("Bob", PASSWORD, "key")
    accounts.retire(BOB)
    kept = database.execute("SELECT username, password_hash, registration_key FROM accounts")
    assert kept.fetchone() == ("", "", "")
    assert accounts.credentials(BOB) is None
    assert accounts.newest_members(10, None) == []


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


def test_a_registration_whose_turn_to_hash_comes_too_late_frees_the_name_at_once(
    accounts: AccountRepository, cache: UsernameCache, database: psycopg.Connection
) -> None:
    busy = PasswordHasher(memory_kib=64, time_cost=1, threads=1, longest_wait=0.05)
    registration = Registration(accounts, cache, busy)
    go_on = threading.Event()
    with ThreadPoolExecutor(2) as callers:
        callers.submit(busy._run, "hash", lambda: go_on.wait(10))
        rejected = callers.submit(registration.register, "bob", PASSWORD)
        queue = busy._pool()._work_queue
        eventually(lambda: queue.qsize() == 1)
        assert registration.availability("bob") == "pending"
        since = time.monotonic()
        eventually(lambda: time.monotonic() > since + 0.1)
        go_on.set()
        with pytest.raises(TooManyHashes):
            rejected.result(10)
    assert cache.state(BOB) is State.ABSENT
    assert rows(database) == []
    assert registration.register("bob", PASSWORD)


def test_a_full_queue_of_hashes_does_not_delay_a_duplicate(
    accounts: AccountRepository, cache: UsernameCache, redis: Redis
) -> None:
    """The cache and the index both reject it before it has to wait."""
    busy = PasswordHasher(memory_kib=64, time_cost=1, threads=1, longest_wait=60.0)
    registration = Registration(accounts, cache, busy)
    registration.register("bob", PASSWORD)
    go_on, running = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as callers:
        callers.submit(busy._run, "hash", lambda: running.set() or go_on.wait(30))
        assert running.wait(10)
        try:
            for forget in (lambda: None, redis.flushall):
                forget()
                with pytest.raises(UsernameTaken):
                    registration.register("bob", PASSWORD)
        finally:
            go_on.set()


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
