"""Guesses at passwords are limited: G14."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from redis import Redis

from service.accounts import usernames
from service.accounts.account import Account
from service.accounts.known_devices import KnownDevices, Mark, Marks
from service.accounts.repository import AccountRepository
from service.audit.trail import AuditTrail
from service.credentials.hashing import PasswordHasher
from service.errors import (
    GuessesUsedUp,
    InvalidCredentials,
    LimitUsedUp,
    SessionStoreUnavailable,
    TooManyHashes,
    TooManyRequests,
    UsernameTaken,
    WrongPassword,
)
from service.registration.registration import Registration
from service.registration.username_cache import UsernameCache
from service.sessions.ids import SessionId
from service.sessions.record import Client, NewSession, Record, SignedIn
from service.signin.password import PasswordFactor
from service.storage.postgres import Postgres
from service.storage.redis import connect
from service.throttling import buckets
from service.throttling.rules import ThrottleRules
from service.throttling.table import TABLE, Limited
from service.throttling.throttle import Throttle
from tests.entries import REGISTERED
from tests.passwords import PASSWORD, POLICY
from tests.registration.attempts import CountingHasher

WRONG = "another password"
NEW_NAME = "nobody-has-it"


class Verifying(PasswordHasher):
    """Counts the passwords that are checked."""

    def __init__(self) -> None:
        super().__init__(memory_kib=64, time_cost=1, threads=2, longest_wait=60.0)
        self.checked = 0

    def verify(self, raw: str, encoded: str | None) -> bool:
        self.checked += 1
        return super().verify(raw, encoded)


def at(number: int) -> Client:
    """A client in a network of its own."""
    return Client(f"192.0.{number // 256}.{number % 256}", "")


@pytest.fixture
def hasher() -> Verifying:
    return Verifying()


@pytest.fixture
def limited(redis: Redis) -> Throttle:
    return Throttle(redis, ThrottleRules(TABLE))


@pytest.fixture
def bob(accounts: AccountRepository, hasher: Verifying) -> Account:
    account = accounts.insert(
        usernames.parse("Bob"), hasher.hash(PASSWORD), "locator-----", "key", REGISTERED
    )
    assert account
    return account


@pytest.fixture
def factor(
    accounts: AccountRepository,
    hasher: Verifying,
    audit: AuditTrail,
    limited: Throttle,
    bob: Account,
) -> PasswordFactor:
    return PasswordFactor(accounts, hasher, audit, limited)


@pytest.fixture
def devices(postgres: Postgres) -> KnownDevices:
    return KnownDevices(postgres)


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except (InvalidCredentials, WrongPassword, TooManyRequests, UsernameTaken) as error:
        return error.limit if isinstance(error, TooManyRequests) else error.code
    return "right"


def signed_in(account: Account) -> SignedIn:
    """The account in a session that is not stored."""
    session_id = SessionId.new(account.locator)
    metadata = NewSession(owner=account.owner).metadata
    return SignedIn(account.owner, Record(session_id, metadata, 0, 0, 0, 0, 0, 0, {}, {}))


def guess(factor: PasswordFactor, client: Client, name: str = "bob", marks: Marks = ()) -> str:
    return outcome(lambda: factor.prove(name, WRONG, client, marks))


def use_up_guesses(factor: PasswordFactor, limited: Throttle, name: str = "bob") -> None:
    """A hundred wrong passwords, from as many networks as that takes and over hours."""
    for number in range(100):
        assert guess(factor, at(number), name) == "invalid_credentials"
        limited.empty([buckets.Bucket(Limited.LOGIN_ACCOUNT, (name,))])


def test_a_parallel_burst_from_one_network_gets_ten_answers(
    factor: PasswordFactor, hasher: Verifying
) -> None:
    barrier, outcomes = threading.Barrier(50), []

    def attempt() -> None:
        barrier.wait(10)
        outcomes.append(guess(factor, at(1)))

    threads = [threading.Thread(target=attempt) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert outcomes.count("invalid_credentials") == hasher.checked == 10


def test_a_burst_from_many_networks_gets_what_the_account_allows(
    factor: PasswordFactor, hasher: Verifying
) -> None:
    outcomes = [guess(factor, at(number)) for number in range(200)]
    amount = TABLE[Limited.LOGIN_ACCOUNT].amount
    assert outcomes.count("invalid_credentials") == hasher.checked == amount
    assert outcomes.count("login-account") == 200 - amount


def test_one_network_does_not_use_up_what_another_has(factor: PasswordFactor) -> None:
    while guess(factor, at(1)) == "invalid_credentials":
        pass
    assert factor.prove("bob", PASSWORD, at(2))


def test_somebody_who_tries_many_names_is_stopped_by_the_network(
    factor: PasswordFactor, hasher: Verifying
) -> None:
    outcomes = [guess(factor, at(1), f"name-{number}") for number in range(40)]
    assert outcomes == ["invalid_credentials"] * 30 + ["login"] * 10


@pytest.mark.parametrize("name", ["bob", NEW_NAME, "", "b\0b", "\ud800", "x" * 10_000])
def test_unknown_and_impossible_names_are_limited_like_known_ones(
    factor: PasswordFactor, hasher: Verifying, name: str
) -> None:
    outcomes = [guess(factor, at(1), name) for _ in range(12)]
    assert outcomes == ["invalid_credentials"] * 10 + ["login-network"] * 2
    assert hasher.checked == 10


def test_every_spelling_of_a_name_counts_once(factor: PasswordFactor) -> None:
    outcomes = [guess(factor, at(1), name) for name in ("bob", "Bob", "BOB", "bOB") * 3]
    assert outcomes.count("invalid_credentials") == 10


def test_a_right_password_counts_only_as_work_for_a_core(
    factor: PasswordFactor, redis: Redis
) -> None:
    """Otherwise the owner of one account could keep every core busy with hashing."""
    for _ in range(TABLE[Limited.LOGIN].amount):
        factor.prove("bob", PASSWORD, at(1))
    [left] = redis.scan_iter("coatcheck:{throttle}:*")
    assert left.startswith(b"coatcheck:{throttle}:login:")
    with pytest.raises(TooManyRequests):
        factor.prove("bob", PASSWORD, at(1))


def test_a_right_password_gives_its_own_attempt_back_and_no_other(factor: PasswordFactor) -> None:
    for _ in range(5):
        guess(factor, at(1))
    factor.prove("bob", PASSWORD, at(1))
    assert [guess(factor, at(1)) for _ in range(6)] == ["invalid_credentials"] * 5 + [
        "login-network"
    ]


def test_a_password_that_was_not_checked_costs_nothing(
    factor: PasswordFactor, hasher: Verifying, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> bool:
        raise TooManyHashes

    with monkeypatch.context() as broken:
        broken.setattr(hasher, "verify", busy)
        for _ in range(20):
            with pytest.raises(TooManyHashes):
                factor.prove("bob", WRONG, at(1))
    assert guess(factor, at(1)) == "invalid_credentials"


def test_without_redis_no_password_is_checked(
    accounts: AccountRepository, hasher: Verifying, audit: AuditTrail, bob: Account
) -> None:
    """No session could follow: the answer would only tell whether the password is right."""
    nowhere = Throttle(connect("unix:///nowhere/redis.sock"), ThrottleRules(TABLE))
    factor = PasswordFactor(accounts, hasher, audit, nowhere)
    for password in (PASSWORD, WRONG):
        with pytest.raises(SessionStoreUnavailable):
            factor.prove("bob", password, at(1))
    assert hasher.checked == 0


def test_a_known_device_gets_in_while_strangers_guess(
    factor: PasswordFactor, devices: KnownDevices, bob: Account
) -> None:
    """No stranger can lock the owner out there, not even from the same network."""
    marks = devices.remember(bob.id, bob.session_epoch)
    for number in range(60):
        guess(factor, at(number))
    for number in range(40):
        guess(factor, at(1), f"name-{number}")
    with pytest.raises(LimitUsedUp):
        factor.prove("bob", PASSWORD, at(1))
    with pytest.raises(LimitUsedUp):
        factor.prove("bob", PASSWORD, at(99))
    for client in (at(1), at(99)):
        assert factor.prove("bob", PASSWORD, client, marks)


def test_a_known_device_has_an_allowance_too(
    factor: PasswordFactor, devices: KnownDevices, bob: Account
) -> None:
    marks = devices.remember(bob.id, bob.session_epoch)
    outcomes = [guess(factor, at(number), marks=marks) for number in range(22)]
    assert outcomes == ["invalid_credentials"] * 20 + ["device"] * 2


def test_a_mark_of_another_account_or_of_nobody_is_worthless(
    factor: PasswordFactor, accounts: AccountRepository, devices: KnownDevices, hasher: Verifying
) -> None:
    eve = accounts.insert(
        usernames.parse("Eve"), hasher.hash(PASSWORD), "locator----e", "key", REGISTERED
    )
    assert eve
    for number, mark in enumerate((*devices.remember(eve.id, eve.session_epoch), Mark.new())):
        outcomes = [guess(factor, at(number), marks=(mark,)) for _ in range(11)]
        assert outcomes == ["invalid_credentials"] * 10 + ["login-network"]


def test_after_a_hundred_failures_only_a_known_device_gets_in(
    factor: PasswordFactor, limited: Throttle, devices: KnownDevices, bob: Account
) -> None:
    """NIST SP 800-63B-4, section 3.2.2: and its success lets the owner in everywhere."""
    marks = devices.remember(bob.id, bob.session_epoch)
    use_up_guesses(factor, limited)
    for _ in range(2):
        with pytest.raises(GuessesUsedUp):
            factor.prove("bob", PASSWORD, at(500))
    assert factor.prove("bob", PASSWORD, at(500), marks)
    assert factor.prove("bob", PASSWORD, at(500))


def test_a_hundred_failures_show_nothing_about_a_name(
    factor: PasswordFactor, limited: Throttle
) -> None:
    use_up_guesses(factor, limited, NEW_NAME)
    with pytest.raises(GuessesUsedUp):
        factor.prove(NEW_NAME, PASSWORD, at(500))


def test_a_success_in_between_starts_the_row_of_failures_anew(
    factor: PasswordFactor, limited: Throttle
) -> None:
    for _ in range(2):
        for number in range(99):
            assert guess(factor, at(number)) == "invalid_credentials"
            limited.empty([buckets.Bucket(Limited.LOGIN_ACCOUNT, ("bob",))])
            limited.empty([buckets.Bucket(Limited.LOGIN_NETWORK, ("bob", at(number).address))])
        assert factor.prove("bob", PASSWORD, at(500))


def test_a_device_on_which_a_hundred_passwords_were_wrong_is_stopped(
    factor: PasswordFactor, limited: Throttle, devices: KnownDevices, bob: Account
) -> None:
    marks = devices.remember(bob.id, bob.session_epoch)
    device, _ = buckets.login_on_known_device("bob", marks[0].digest.hex())
    for _ in range(100):
        assert guess(factor, at(1), marks=marks) == "invalid_credentials"
        limited.empty([device])
    with pytest.raises(GuessesUsedUp):
        factor.prove("bob", PASSWORD, at(1), marks)
    assert factor.prove("bob", PASSWORD, at(2))


def test_a_success_on_a_known_device_starts_the_row_of_failures_there_anew(
    factor: PasswordFactor, limited: Throttle, devices: KnownDevices, bob: Account
) -> None:
    """Nobody is locked out by the typing errors of years."""
    marks = devices.remember(bob.id, bob.session_epoch)
    device, _ = buckets.login_on_known_device("bob", marks[0].digest.hex())
    for _ in range(2):
        for _ in range(99):
            assert guess(factor, at(1), marks=marks) == "invalid_credentials"
            limited.empty([device])
        assert factor.prove("bob", PASSWORD, at(1), marks)


def test_confirming_a_password_is_a_guess(
    factor: PasswordFactor, hasher: Verifying, bob: Account
) -> None:
    outcomes = [outcome(lambda: factor.confirm(signed_in(bob), WRONG, at(1))) for _ in range(12)]
    assert outcomes == ["wrong_password"] * 10 + ["confirmation"] * 2
    assert hasher.checked == 10
    assert factor.confirm(signed_in(bob), PASSWORD, at(2))


def test_strangers_cannot_use_up_what_somebody_who_is_signed_in_has(
    factor: PasswordFactor, limited: Throttle, bob: Account
) -> None:
    use_up_guesses(factor, limited)
    assert factor.confirm(signed_in(bob), PASSWORD, at(1))


def test_a_repeated_registration_is_a_guess(
    accounts: AccountRepository, redis: Redis, limited: Throttle, audit: AuditTrail
) -> None:
    hasher = CountingHasher()
    registration = Registration(accounts, UsernameCache(redis), hasher, POLICY, audit, limited)
    registration.register("eve", PASSWORD, "key")
    outcomes = [
        outcome(lambda: registration.register("eve", WRONG, "key", at(1))) for _ in range(12)
    ]
    assert outcomes == ["username_taken"] * 10 + ["login-network"] * 2
    assert registration.register("eve", PASSWORD, "key", at(2))
