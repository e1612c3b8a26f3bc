from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from argon2 import PasswordHasher as Argon2
from argon2 import extract_parameters
from hypothesis import given
from hypothesis import strategies as st
from nacl.pwhash import argon2id
from precis_i18n import get_profile

from service.accounts import passwords
from service.accounts.passwords import PasswordHasher
from service.errors import InvalidInput, TooManyHashes
from tests.conditions import eventually


@pytest.fixture(scope="module")
def hasher() -> PasswordHasher:
    return PasswordHasher(memory_kib=64, time_cost=1, threads=2, longest_wait=60.0)


def test_a_hash_is_argon2id_with_the_parameters_asked_for(hasher: PasswordHasher) -> None:
    parameters = extract_parameters(hasher.hash("correct horse"))
    assert parameters.type.name == "ID"
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (64, 1, 1)


def test_only_the_password_that_was_hashed_verifies(hasher: PasswordHasher) -> None:
    encoded = hasher.hash("correct horse")
    assert hasher.verify("correct horse", encoded)
    assert not hasher.verify("battery staple", encoded)


def test_verifying_nothing_computes_a_hash_all_the_same(
    hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified = []
    real = argon2id.verify
    monkeypatch.setattr(argon2id, "verify", lambda *a: verified.append(a) or real(*a))
    hasher.verify_nothing()
    assert len(verified) == 1


def test_hashes_are_those_of_the_reference_library(hasher: PasswordHasher) -> None:
    """An account that was made with another implementation of argon2id can sign in."""
    reference = Argon2(time_cost=1, memory_cost=64, parallelism=1)
    assert hasher.verify("correct hörse", reference.hash("correct hörse"))
    assert reference.verify(hasher.hash("correct hörse"), "correct hörse")
    assert not hasher.is_outdated(reference.hash("correct hörse"))


def test_a_hash_of_several_lanes_verifies_and_is_outdated(hasher: PasswordHasher) -> None:
    encoded = Argon2(time_cost=1, memory_cost=64, parallelism=4).hash("correct horse")
    assert hasher.verify("correct horse", encoded)
    assert hasher.is_outdated(encoded)


@pytest.mark.parametrize("encoded", ["not a hash", "", "$argon2id$", "x" * 200, "ü"])
def test_what_is_no_hash_verifies_nothing(hasher: PasswordHasher, encoded: str) -> None:
    assert not hasher.verify("correct horse", encoded)
    assert hasher.is_outdated(encoded)


def test_a_hash_made_with_other_parameters_is_outdated(hasher: PasswordHasher) -> None:
    assert not hasher.is_outdated(hasher.hash("correct horse"))
    assert hasher.is_outdated(Argon2(time_cost=2, memory_cost=64, parallelism=1).hash("x"))


class Busy:
    """A hasher of one thread, which is busy until it is told to go on."""

    def __init__(self, longest_wait: float) -> None:
        self.hasher = PasswordHasher(64, 1, 1, longest_wait)
        self._go_on, self._running = threading.Event(), threading.Event()
        self._pool = ThreadPoolExecutor()

    def __enter__(self) -> Busy:
        self.ask(self._occupy)
        assert self._running.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on()
        self._pool.shutdown()

    def ask(self, work: Callable[[], object]) -> Future[object]:
        """Have it done, when its turn comes, by another thread of the caller's."""
        pending = self.hasher._pending
        asked = self._pool.submit(self.hasher._run, "hash", work)
        eventually(lambda: asked.done() or self.hasher._pending > pending)
        return asked

    def go_on(self) -> None:
        self._go_on.set()

    def _occupy(self) -> None:
        self._running.set()
        self._go_on.wait(30)


def test_who_would_wait_too_long_is_refused_at_once() -> None:
    with Busy(longest_wait=12.0) as busy:
        busy.hasher._duration = 3.0
        waiting = [busy.ask(int) for _ in range(2)]  # for 3 and for 6 seconds
        assert busy.hasher.is_full
        with pytest.raises(TooManyHashes):
            busy.hasher.hash("correct horse")
        busy.go_on()
        assert [each.result(10) for each in waiting] == [0, 0]
    assert not busy.hasher.is_full


def test_who_did_wait_too_long_is_refused_and_costs_no_hash() -> None:
    computed: list[int] = []
    with Busy(longest_wait=0.1) as busy:
        late = busy.ask(lambda: computed.append(1))
        since = time.monotonic()
        eventually(lambda: time.monotonic() > since + 0.1)
        busy.go_on()
        with pytest.raises(TooManyHashes):
            late.result(10)
    assert computed == []


def test_without_a_queue_nobody_is_refused_however_long_a_hash_takes() -> None:
    hasher = PasswordHasher(memory_kib=64, time_cost=1, threads=1, longest_wait=0.1)
    hasher._duration = 60.0
    assert hasher.hash("correct horse")
    assert hasher._duration < 60.0


def test_a_place_counts_from_when_it_is_taken_until_the_hash_is_there() -> None:
    hasher = with_room_for_one()
    with hasher.place() as place:
        assert hasher.is_full
        with pytest.raises(TooManyHashes):
            hasher.verify_nothing()
        assert hasher.hash("correct horse", place)
        assert not hasher.is_full
        hasher.verify_nothing()
    assert hasher._pending == 0


def test_a_place_that_was_given_up_is_open_to_others_and_taken_again_with_the_hash() -> None:
    hasher = with_room_for_one()
    with hasher.place() as place:
        place.give_up()
        with hasher.place(), pytest.raises(TooManyHashes):
            hasher.hash("correct horse", place)
        assert hasher.hash("correct horse", place)
    assert hasher._pending == 0


def test_who_finds_no_place_takes_none() -> None:
    hasher = with_room_for_one()
    with hasher.place():
        with pytest.raises(TooManyHashes), hasher.place():
            pass
        assert hasher._pending == 1
    assert hasher._pending == 0


def with_room_for_one() -> PasswordHasher:
    """Where a second one would be expected to wait too long."""
    hasher = PasswordHasher(memory_kib=64, time_cost=1, threads=1, longest_wait=1.0)
    hasher._duration = 60.0
    return hasher


def test_how_long_a_hash_takes_is_learned(hasher: PasswordHasher) -> None:
    before = hasher._duration
    for _ in range(20):
        hasher._run("hash", lambda: threading.Event().wait(0.05))
    assert hasher._duration == pytest.approx(0.05, rel=0.5)
    for _ in range(40):
        hasher._run("hash", int)
    assert hasher._duration < max(before, 0.01)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("seven77", "too_short"),
        ("x" * 257, "too_long"),
        ("nul\0nul\0nul", "characters"),
        ("\ud800" * 8, "characters"),
    ],
)
def test_what_cannot_be_a_password_is_refused_with_a_reason(raw: str, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        passwords.check_new(raw)
    assert [(error.field, error.code) for error in caught.value.errors] == [("password", code)]
    assert raw not in str(caught.value)


def test_composed_and_combining_characters_are_the_same_password() -> None:
    assert passwords.prepare("caf\u00e9 caf\u00e9") == passwords.prepare("cafe\u0301 cafe\u0301")


def test_case_and_inner_spaces_count() -> None:
    assert passwords.check_new("Correct  Horse") == "Correct  Horse"


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40))
def test_printable_ascii_is_left_as_the_profile_leaves_it(raw: str) -> None:
    assert passwords.prepare(raw) == get_profile("OpaqueString").enforce(raw)


def test_a_child_hashes_in_threads_of_its_own(hasher: PasswordHasher) -> None:
    """Those of its parent did not survive the fork."""
    hasher.hash("correct horse battery")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            encoded = hasher.hash("correct horse battery")
            status = 0 if hasher.verify("correct horse battery", encoded) else 2
        finally:
            os._exit(status)
    try:
        ended = eventually(lambda: os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG))
    except AssertionError:
        os.kill(child, signal.SIGKILL)
        raise
    assert ended.si_status == 0
