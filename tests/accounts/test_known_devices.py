from __future__ import annotations

import hashlib
import threading

import psycopg
import pytest

from service.accounts import known_devices, usernames
from service.accounts.account import Account
from service.accounts.known_devices import KnownDevices, Mark, Marks, joined, parse
from service.accounts.repository import AccountRepository
from service.audit.entry import Entry, Event
from service.storage.postgres import Postgres
from tests.entries import REGISTERED

CHANGED = Entry(Event.PASSWORD_CHANGED)
ROUNDS = 20
MARK = "x" * 43


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


def known(accounts: AccountRepository, name: str, marks: Marks) -> str | None:
    """The digest of the mark that counts for the account."""
    found = accounts.credentials(usernames.parse(name), marks)
    assert found
    return found.known_device


def is_known(accounts: AccountRepository, name: str, *marks: Mark) -> bool:
    return known(accounts, name, marks) is not None


def revoked(accounts: AccountRepository, account: Account, marks: Marks = ()) -> Account:
    """The account after a device with these marks has signed out everywhere."""
    changed = accounts.revoke_sessions(account.id, CHANGED, marks=marks)
    assert changed
    return changed


def test_a_device_is_known_by_its_mark(
    accounts: AccountRepository, devices: KnownDevices, bob: Account
) -> None:
    (mark,) = devices.remember(bob.id, bob.session_epoch)
    assert known(accounts, "bob", (Mark.new(), mark)) == mark.digest.hex()
    assert not is_known(accounts, "bob", Mark.new())
    assert not is_known(accounts, "bob")


def test_only_a_digest_is_stored(
    devices: KnownDevices, bob: Account, database: psycopg.Connection
) -> None:
    (mark,) = devices.remember(bob.id, bob.session_epoch)
    (stored,) = database.execute("SELECT digest FROM known_devices").fetchone() or ()
    assert bytes(stored) == hashlib.sha256(mark.value.encode()).digest()
    assert mark.value not in repr(mark)


@pytest.mark.parametrize("count", range(1, 6))
def test_a_cookie_holds_up_to_five_marks(count: int) -> None:
    marks = tuple(Mark.new() for _ in range(count))
    assert parse(joined(marks)) == marks


@pytest.mark.parametrize("cookie", ["", ".", MARK[1:], f"{MARK}x", f"{MARK}.", f".{MARK}"])
def test_a_cookie_of_another_shape_holds_no_mark(cookie: str) -> None:
    assert parse(cookie) == ()


@pytest.mark.parametrize("between", ["", ",", "..", ".x", "\n", "é"])
def test_marks_are_joined_by_one_dot(between: str) -> None:
    assert parse(f"{MARK}{between}{MARK}") == ()


def test_a_cookie_with_more_marks_holds_none() -> None:
    assert parse(".".join([MARK] * 6)) == ()


def test_a_device_that_is_known_keeps_its_mark(devices: KnownDevices, bob: Account) -> None:
    marks = devices.remember(bob.id, bob.session_epoch)
    assert devices.remember(bob.id, bob.session_epoch, marks) == marks


def test_a_mark_that_nobody_gave_is_not_adopted(
    accounts: AccountRepository, devices: KnownDevices, bob: Account
) -> None:
    planted = Mark.new()
    _, own = devices.remember(bob.id, bob.session_epoch, (planted,))
    assert not is_known(accounts, "bob", planted)
    assert is_known(accounts, "bob", own)


def test_a_sign_in_to_one_account_leaves_the_mark_of_another_alone(
    accounts: AccountRepository, devices: KnownDevices, bob: Account
) -> None:
    """Whoever signs in with a mark of somebody else gets no allowance there, and takes nothing."""
    ada = registered(accounts, "ada")
    (of_bob,) = devices.remember(bob.id, bob.session_epoch)
    kept, of_ada = devices.remember(ada.id, ada.session_epoch, (of_bob,))
    assert kept == of_bob
    for name, own, other in (("bob", of_bob, of_ada), ("ada", of_ada, of_bob)):
        assert known(accounts, name, (of_bob, of_ada)) == own.digest.hex()
        assert not is_known(accounts, name, other)


def test_the_oldest_mark_in_a_cookie_makes_room_for_the_sixth(
    accounts: AccountRepository, devices: KnownDevices
) -> None:
    marks: Marks = ()
    for name in ("ada", "bob", "cyd", "dan", "eve", "fay"):
        account = registered(accounts, name)
        before, marks = marks, devices.remember(account.id, account.session_epoch, marks)
    assert (len(before), marks[:-1]) == (5, before[1:])
    assert is_known(accounts, "fay", marks[-1])


def test_what_ends_all_sessions_also_ends_all_marks(
    accounts: AccountRepository, devices: KnownDevices, bob: Account
) -> None:
    epoch = bob.session_epoch
    for end in (
        lambda: accounts.revoke_sessions(bob.id, CHANGED),
        lambda: accounts.change_password(bob.id, "hash", "another hash", CHANGED),
    ):
        marks = devices.remember(bob.id, epoch)
        assert is_known(accounts, "bob", *marks)
        changed = end()
        assert changed
        assert not is_known(accounts, "bob", *marks)
        epoch = changed.session_epoch


def test_a_mark_that_has_ended_makes_room_for_its_successor(
    accounts: AccountRepository, devices: KnownDevices, bob: Account
) -> None:
    ada = registered(accounts, "ada")
    (of_ada,) = devices.remember(ada.id, ada.session_epoch)
    marks = devices.remember(bob.id, bob.session_epoch, (of_ada,))
    epoch = revoked(accounts, bob).session_epoch
    kept, successor = devices.remember(bob.id, epoch, marks)
    assert (kept, successor in marks) == (of_ada, False)
    assert is_known(accounts, "bob", successor)


def test_the_device_that_signs_out_the_others_keeps_its_mark(
    accounts: AccountRepository, devices: KnownDevices, bob: Account
) -> None:
    ada = registered(accounts, "ada")
    (of_ada,) = devices.remember(ada.id, ada.session_epoch)
    own = devices.remember(bob.id, bob.session_epoch, (of_ada,))
    other = devices.remember(bob.id, bob.session_epoch)
    revoked(accounts, bob, own)
    assert known(accounts, "bob", own) == own[1].digest.hex()
    assert not is_known(accounts, "bob", *other)
    assert is_known(accounts, "ada", of_ada)


def test_a_mark_that_has_ended_is_never_revived(
    accounts: AccountRepository, devices: KnownDevices, bob: Account
) -> None:
    marks = devices.remember(bob.id, bob.session_epoch)
    revoked(accounts, bob)
    revoked(accounts, bob, marks)
    assert not is_known(accounts, "bob", *marks)


def test_a_device_that_signs_out_the_others_twice_at_once_keeps_its_mark(
    accounts: AccountRepository, devices: KnownDevices, bob: Account
) -> None:
    marks = devices.remember(bob.id, bob.session_epoch)
    for _ in range(ROUNDS):
        barrier = threading.Barrier(4)

        def revoke(barrier: threading.Barrier = barrier) -> None:
            barrier.wait(10)
            revoked(accounts, bob, marks)

        threads = [threading.Thread(target=revoke) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert is_known(accounts, "bob", *marks)


def test_a_proof_that_was_overtaken_earns_no_mark(
    accounts: AccountRepository,
    devices: KnownDevices,
    bob: Account,
    database: psycopg.Connection,
) -> None:
    revoked(accounts, bob)
    planted = (Mark.new(),)
    assert devices.remember(bob.id, bob.session_epoch, planted) == planted
    assert database.execute("SELECT FROM known_devices").rowcount == 0


def test_a_proof_that_was_overtaken_does_not_forget_a_mark_that_was_kept(
    accounts: AccountRepository, devices: KnownDevices, bob: Account
) -> None:
    marks = devices.remember(bob.id, bob.session_epoch)
    revoked(accounts, bob, marks)
    assert devices.remember(bob.id, bob.session_epoch, marks) == marks
    assert is_known(accounts, "bob", *marks)


def test_an_account_has_so_many_devices_and_forgets_those_that_are_not_used(
    accounts: AccountRepository,
    devices: KnownDevices,
    bob: Account,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(known_devices, "PER_ACCOUNT", 3)
    marks = [devices.remember(bob.id, bob.session_epoch) for _ in range(3)]
    devices.remember(bob.id, bob.session_epoch, marks[0])
    marks.append(devices.remember(bob.id, bob.session_epoch))
    assert [is_known(accounts, "bob", *each) for each in marks] == [True, False, True, True]


def test_a_deleted_account_takes_its_devices_along(
    devices: KnownDevices, bob: Account, database: psycopg.Connection
) -> None:
    devices.remember(bob.id, bob.session_epoch)
    database.execute("DELETE FROM accounts")
    assert database.execute("SELECT 1 FROM known_devices").fetchone() is None
