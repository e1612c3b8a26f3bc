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
from nacl.pwhash import argon2id

from service.credentials.hashing import PasswordHasher
from service.errors import TooManyHashes
from tests.conditions import eventually


@pytest.fixture(scope="module")
def hasher() -> PasswordHasher:
    return PasswordHasher(memory_kib=64, time_cost=1, threads=2, longest_wait=60.0)


def test_a_hash_is_argon2id_with_the_given_parameters(hasher: PasswordHasher) -> None:
    parameters = extract_parameters(hasher.hash("correct horse"))
    assert parameters.type.name == "ID"
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (64, 1, 1)


def test_only_the_password_that_was_hashed_verifies(hasher: PasswordHasher) -> None:
    encoded = hasher.hash("correct horse")
    assert hasher.verify("correct horse", encoded)
    assert not hasher.verify("battery staple", encoded)


@pytest.mark.parametrize(
    ("password", "has_hash"), [("correct horse", False), ("\0", True), ("\ud800", True)]
)
def test_a_check_that_can_only_fail_computes_a_hash_all_the_same(
    hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch, password: str, has_hash: bool
) -> None:
    encoded = hasher.hash("correct horse") if has_hash else None
    verified = []
    real = argon2id.verify
    monkeypatch.setattr(argon2id, "verify", lambda *a: verified.append(a) or real(*a))
    assert not hasher.verify(password, encoded)
    assert len(verified) == 1


def test_hashes_are_compatible_with_the_reference_library(hasher: PasswordHasher) -> None:
    """An account whose hash comes from another implementation of argon2id can sign in."""
    reference = Argon2(time_cost=1, memory_cost=64, parallelism=1)
    assert hasher.verify("correct hörse", reference.hash("correct hörse"))
    assert reference.verify(hasher.hash("correct hörse"), "correct hörse")
    assert not hasher.is_outdated(reference.hash("correct hörse"))


def test_a_hash_of_several_lanes_verifies_and_is_outdated(hasher: PasswordHasher) -> None:
    encoded = Argon2(time_cost=1, memory_cost=64, parallelism=4).hash("correct horse")
    assert hasher.verify("correct horse", encoded)
    assert hasher.is_outdated(encoded)


@pytest.mark.parametrize("encoded", ["not a hash", "", "$argon2id$", "x" * 200, "ü"])
def test_a_malformed_hash_verifies_nothing(hasher: PasswordHasher, encoded: str) -> None:
    assert not hasher.verify("correct horse", encoded)
    assert hasher.is_outdated(encoded)


def test_a_hash_made_with_other_parameters_is_outdated(hasher: PasswordHasher) -> None:
    assert not hasher.is_outdated(hasher.hash("correct horse"))
    assert hasher.is_outdated(Argon2(time_cost=2, memory_cost=64, parallelism=1).hash("x"))


class Occupied:
    """A hasher with one thread, which is busy until `go_on`."""

    def __init__(self, longest_wait: float) -> None:
        self.hasher = PasswordHasher(64, 1, 1, longest_wait)
        self._go_on, self._running = threading.Event(), threading.Event()
        self._callers = ThreadPoolExecutor(8)

    def __enter__(self) -> Occupied:
        self._callers.submit(self.hasher._run, "hash", self._occupy)
        assert self._running.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on()
        self._callers.shutdown()

    def ask(self, work: Callable[[], object]) -> Future[object]:
        """Queue `work` from another thread."""
        queue = self.hasher._pool()._work_queue
        before = queue.qsize()
        asked = self._callers.submit(self.hasher._run, "hash", work)
        eventually(lambda: queue.qsize() > before)
        return asked

    def go_on(self) -> None:
        self._go_on.set()

    def _occupy(self) -> None:
        self._running.set()
        self._go_on.wait(30)


def test_passwords_are_hashed_in_the_order_in_which_they_arrive() -> None:
    computed: list[int] = []
    with Occupied(longest_wait=60.0) as occupied:
        asked = [occupied.ask(lambda n=n: computed.append(n)) for n in range(5)]
        assert computed == []
        occupied.go_on()
        for each in asked:
            each.result(10)
    assert computed == [0, 1, 2, 3, 4]


def test_a_password_whose_turn_comes_too_late_is_rejected_and_costs_no_hash() -> None:
    computed: list[int] = []
    with Occupied(longest_wait=0.1) as occupied:
        late = occupied.ask(lambda: computed.append(1))
        since = time.monotonic()
        eventually(lambda: time.monotonic() > since + 0.1)
        in_time = occupied.ask(lambda: computed.append(2))
        occupied.go_on()
        with pytest.raises(TooManyHashes):
            late.result(10)
        in_time.result(10)
    assert computed == [2]


def test_a_hash_that_has_started_finishes_however_long_it_takes() -> None:
    """Only the wait for a turn is bounded."""
    hasher = PasswordHasher(memory_kib=64, time_cost=1, threads=1, longest_wait=0.05)
    started = time.monotonic()
    assert hasher._run("hash", lambda: eventually(lambda: time.monotonic() > started + 0.1))
    assert hasher.hash("correct horse")


def test_each_thread_hashes_one_password_at_a_time(
    hasher: PasswordHasher,
) -> None:
    at_work, most, lock = 0, 0, threading.Lock()
    two_at_work = threading.Event()

    def work() -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
            if at_work == 2:
                two_at_work.set()
        assert two_at_work.wait(10)
        with lock:
            at_work -= 1

    with ThreadPoolExecutor(6) as callers:
        list(callers.map(lambda _: hasher._run("hash", work), range(6)))
    assert most == 2


def test_a_forked_child_hashes_in_its_own_threads(hasher: PasswordHasher) -> None:
    """Its parent's threads do not survive the fork."""
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
