from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from nacl.pwhash import argon2id

from service.accounts import usernames
from service.accounts.repository import AccountRepository
from service.audit.trail import AuditTrail
from service.credentials.hashing import PasswordHasher
from service.errors import InvalidCredentials, TooManyHashes
from service.signin.password import PasswordFactor
from tests.conditions import elapse
from tests.entries import REGISTERED
from tests.hashes import held_hashes
from tests.passwords import PASSWORD
from tests.throttles import UNTHROTTLED


@pytest.fixture
def hasher() -> PasswordHasher:
    return PasswordHasher(memory_kib=64, time_cost=1, threads=1, longest_wait=60.0)


@pytest.fixture
def factor(
    accounts: AccountRepository, hasher: PasswordHasher, audit: AuditTrail
) -> PasswordFactor:
    accounts.insert(
        usernames.parse("Bob"), hasher.hash(PASSWORD), "locator-----", "key", REGISTERED
    )
    return PasswordFactor(accounts, hasher, audit, UNTHROTTLED)


def stored_hash(database: psycopg.Connection) -> str:
    row = database.execute("SELECT password_hash FROM accounts").fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.parametrize("name", ["Bob", "bob", "BOB"])
def test_the_account_is_found_in_every_spelling_of_its_name(
    factor: PasswordFactor, name: str
) -> None:
    account = factor.prove(name, PASSWORD).account
    assert (account.username, account.locator) == ("Bob", "locator-----")


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("bob", "another password"),
        ("nobody-has-it", PASSWORD),
        ("", PASSWORD),
        ("bob", ""),
        ("x" * 10_000, PASSWORD),
        ("b\0b", PASSWORD),
        ("bob", "\ud800"),
        ("bob", "x" * 10_000),
    ],
)
def test_every_rejection_is_the_same_and_computes_one_hash(
    factor: PasswordFactor, monkeypatch: pytest.MonkeyPatch, name: str, password: str
) -> None:
    computed = []
    verify = argon2id.verify
    monkeypatch.setattr(argon2id, "verify", lambda *a: computed.append(1) or verify(*a))
    with pytest.raises(InvalidCredentials):
        factor.prove(name, password)
    assert len(computed) == 1


def test_a_disabled_account_is_rejected_like_an_unknown_one(
    factor: PasswordFactor, database: psycopg.Connection
) -> None:
    database.execute("UPDATE accounts SET disabled_at = now()")
    with pytest.raises(InvalidCredentials):
        factor.prove("bob", PASSWORD)


@pytest.mark.parametrize(("name", "password"), [("bob", PASSWORD), ("nobody-has-it", PASSWORD)])
def test_a_login_whose_turn_to_hash_comes_too_late_says_so_whatever_the_name(
    factor: PasswordFactor,
    accounts: AccountRepository,
    name: str,
    password: str,
    audit: AuditTrail,
) -> None:
    """It must not call a password wrong that was never checked."""
    busy = PasswordHasher(memory_kib=64, time_cost=1, threads=1, longest_wait=0.05)
    with held_hashes() as hashes, ThreadPoolExecutor() as callers:
        callers.submit(busy.hash, "another password")
        hashes.await_queued()
        hashes.await_begun()
        rejected = callers.submit(
            PasswordFactor(accounts, busy, audit, UNTHROTTLED).prove, name, password
        )
        hashes.await_queued()
        elapse(0.1)
        hashes.go_on()
        with pytest.raises(TooManyHashes):
            rejected.result(10)


def test_a_login_renews_a_hash_made_with_outdated_parameters(
    factor: PasswordFactor,
    accounts: AccountRepository,
    database: psycopg.Connection,
    audit: AuditTrail,
) -> None:
    stronger = PasswordHasher(memory_kib=128, time_cost=1, threads=1, longest_wait=60.0)
    before = stored_hash(database)
    PasswordFactor(accounts, stronger, audit, UNTHROTTLED).prove("bob", PASSWORD)
    after = stored_hash(database)
    assert after != before
    assert not stronger.is_outdated(after)
    assert PasswordFactor(accounts, stronger, audit, UNTHROTTLED).prove("bob", PASSWORD)
    assert stored_hash(database) == after


def test_a_renewed_hash_does_not_undo_a_password_change(
    factor: PasswordFactor, accounts: AccountRepository, database: psycopg.Connection
) -> None:
    account = factor.prove("bob", PASSWORD).account
    old = stored_hash(database)
    database.execute("UPDATE accounts SET password_hash = 'of the new password'")
    accounts.replace_hash(account.id, old, "renewed hash of the old password")
    assert stored_hash(database) == "of the new password"


def test_a_hash_that_cannot_be_renewed_now_does_not_stop_the_login(
    factor: PasswordFactor,
    accounts: AccountRepository,
    monkeypatch: pytest.MonkeyPatch,
    audit: AuditTrail,
) -> None:
    stronger = PasswordHasher(memory_kib=128, time_cost=1, threads=1, longest_wait=60.0)

    def refuse(*_: object) -> str:
        raise TooManyHashes

    monkeypatch.setattr(stronger, "hash", refuse)
    assert PasswordFactor(accounts, stronger, audit, UNTHROTTLED).prove("bob", PASSWORD)
