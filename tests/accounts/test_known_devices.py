from __future__ import annotations

import hashlib

import psycopg
import pytest

from service.accounts import known_devices, usernames
from service.accounts.account import Account
from service.accounts.known_devices import KnownDevices, Mark
from service.accounts.repository import AccountRepository
from service.audit.entry import Entry, Event
from service.storage.postgres import Postgres
from tests.entries import REGISTERED

CHANGED = Entry(Event.PASSWORD_CHANGED)


@pytest.fixture
def devices(postgres: Postgres) -> KnownDevices:
    return KnownDevices(postgres)


@pytest.fixture
def bob(accounts: AccountRepository) -> Account:
    return registered(accounts, "bob")


def registered(accounts: AccountRepository, name: str) -> Account:
    account = accounts.insert(usernames.parse(name), "hash", "locator-----", "key", REGISTERED)
    assert account
    return account


def is_known(accounts: AccountRepository, name: str, mark: Mark | None) -> bool:
    found = accounts.credentials(usernames.parse(name), mark)
    assert found
    return found.on_known_device


def test_a_device_is_known_by_its_mark(
    accounts: AccountRepository, devices: KnownDevices, bob: Account
) -> None:
    mark = devices.remember(bob.id, bob.session_epoch, None)
    assert is_known(accounts, "bob", mark)
    assert not is_known(accounts, "bob", Mark.new())
    assert not is_known(accounts, "bob", None)


def test_only_a_digest_is_stored(
    devices: KnownDevices, bob: Account, database: psycopg.Connection
) -> None:
    mark = devices.remember(bob.id, bob.session_epoch, None)
    (stored,) = database.execute("SELECT digest FROM known_devices").fetchone() or ()
    assert bytes(stored) == hashlib.sha256(mark.value.encode()).digest()
    assert mark.value not in repr(mark)


def test_a_device_that_is_known_keeps_its_mark(devices: KnownDevices, bob: Account) -> None:
    mark = devices.remember(bob.id, bob.session_epoch, None)
    assert devices.remember(bob.id, bob.session_epoch, mark) == mark


def test_a_mark_that_nobody_gave_is_not_adopted(
    accounts: AccountRepository, devices: KnownDevices, bob: Account
) -> None:
    planted = Mark.new()
    assert devices.remember(bob.id, bob.session_epoch, planted) != planted
    assert not is_known(accounts, "bob", planted)


def test_a_mark_that_was_given_for_another_account_is_replaced_for_both(
    accounts: AccountRepository, devices: KnownDevices, bob: Account
) -> None:
    """Two people share a browser; and whoever has planted the mark of an account of his own knows
    none afterwards."""
    ada = registered(accounts, "ada")
    first = devices.remember(bob.id, bob.session_epoch, None)
    second = devices.remember(ada.id, ada.session_epoch, first)
    assert [is_known(accounts, name, second) for name in ("bob", "ada")] == [True, True]
    assert [is_known(accounts, name, first) for name in ("bob", "ada")] == [False, False]


def test_what_ends_all_sessions_also_ends_all_marks(
    accounts: AccountRepository, devices: KnownDevices, bob: Account
) -> None:
    for end in (
        lambda: accounts.revoke_sessions(bob.id, CHANGED),
        lambda: accounts.change_password(bob.id, "hash", "another hash", CHANGED),
    ):
        mark = devices.remember(bob.id, None, None)
        assert is_known(accounts, "bob", mark)
        assert end()
        assert not is_known(accounts, "bob", mark)
    assert devices.remember(bob.id, None, mark) != mark


def test_a_mark_of_a_sign_in_that_was_overtaken_is_worthless(
    accounts: AccountRepository, devices: KnownDevices, bob: Account
) -> None:
    accounts.revoke_sessions(bob.id, CHANGED)
    assert not is_known(accounts, "bob", devices.remember(bob.id, bob.session_epoch, None))


def test_an_account_has_so_many_devices_and_forgets_those_that_are_not_used(
    accounts: AccountRepository,
    devices: KnownDevices,
    bob: Account,
    database: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(known_devices, "PER_ACCOUNT", 3)
    marks = [devices.remember(bob.id, bob.session_epoch, None) for _ in range(3)]
    devices.remember(bob.id, bob.session_epoch, marks[0])
    marks.append(devices.remember(bob.id, bob.session_epoch, None))
    assert [is_known(accounts, "bob", mark) for mark in marks] == [True, False, True, True]


def test_a_deleted_account_takes_its_devices_along(
    devices: KnownDevices, bob: Account, database: psycopg.Connection
) -> None:
    devices.remember(bob.id, bob.session_epoch, None)
    database.execute("DELETE FROM accounts")
    assert database.execute("SELECT 1 FROM known_devices").fetchone() is None
