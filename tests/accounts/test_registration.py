from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest
from redis import Redis

from service.accounts import usernames
from service.accounts.account import Account
from service.accounts.passwords import PasswordHasher
from service.accounts.registration import Registration
from service.accounts.repository import AccountRepository
from service.accounts.username_cache import State, UsernameCache
from service.embedded import Postgres as EmbeddedPostgres
from service.errors import CoatcheckError, DatabaseUnavailable, InvalidInput, UsernameTaken
from service.storage.postgres import Postgres
from service.storage.redis import connect

PASSWORD = "correct horse battery"
BOB = usernames.parse("bob")


class CountingHasher(PasswordHasher):
    """Counts its hashes, and calls `meanwhile` before each."""

    def __init__(self) -> None:
        super().__init__(memory_kib=64, time_cost=1, threads=2, queue=1000)
        self.hashes = 0
        self.meanwhile: Callable[[], None] = lambda: None

    def hash(self, password: str) -> str:
        self.hashes += 1
        self.meanwhile()
        return super().hash(password)


@pytest.fixture
def accounts(
    database: psycopg.Connection, postgres_engine: EmbeddedPostgres
) -> Iterator[AccountRepository]:
    postgres = Postgres(postgres_engine.url)
    yield AccountRepository(postgres)
    postgres.close()


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
    """`register`, from so many threads at once."""
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
    assert cache.state(BOB) is State.TAKEN


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
    assert cache.state(BOB) is State.TAKEN


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
    hasher.meanwhile = lambda: accounts.insert(BOB, "rival's", "locator")
    with pytest.raises(UsernameTaken):
        registration.register("bob", PASSWORD)


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


def test_a_claim_left_by_the_dead_does_not_block_the_name(
    registration: Registration, cache: UsernameCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.accounts.registration.RIVAL_TIMEOUT", 0.1)
    cache.claim(BOB, "token of a worker that died")
    assert registration.register("bob", PASSWORD)


def test_everything_that_is_wrong_is_said_at_once(registration: Registration) -> None:
    with pytest.raises(InvalidInput) as caught:
        registration.register("x", "short")
    assert [error.field for error in caught.value.errors] == ["username", "password"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("nobody-has-it", None), ("taken", "taken"), ("Admin", "reserved"), ("x", "invalid")],
)
def test_availability_says_why_a_name_cannot_be_had(
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
