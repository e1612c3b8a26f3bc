from __future__ import annotations

import os
import signal
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2 import PasswordHasher as Argon2
from argon2 import extract_parameters
from nacl.pwhash import argon2id

from service.credentials.hashing import PasswordHasher
from service.errors import TooManyHashes
from tests.conditions import elapse, eventually
from tests.hashes import held_hashes
from tests.passwords import PASSWORD


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


def test_passwords_are_hashed_in_the_order_in_which_they_arrive() -> None:
    hasher = PasswordHasher(memory_kib=64, time_cost=1, threads=1, longest_wait=60.0)
    passwords = [f"password {number}" for number in range(6)]
    with held_hashes() as hashes, ThreadPoolExecutor() as callers:
        asked = []
        for password in passwords:
            asked.append(callers.submit(hasher.hash, password))
            hashes.await_queued()
        hashes.go_on()
        for each in asked:
            each.result(10)
    assert hashes.passwords == passwords


def test_a_password_whose_turn_comes_too_late_is_rejected_and_costs_no_hash() -> None:
    """G12: overload is shed."""
    hasher = PasswordHasher(memory_kib=64, time_cost=1, threads=1, longest_wait=0.1)
    with held_hashes() as hashes, ThreadPoolExecutor() as callers:
        callers.submit(hasher.hash, "first")
        hashes.await_queued()
        hashes.await_begun()
        late = callers.submit(hasher.hash, "late")
        hashes.await_queued()
        elapse(0.1)
        in_time = callers.submit(hasher.hash, "in time")
        hashes.await_queued()
        hashes.go_on()
        with pytest.raises(TooManyHashes):
            late.result(10)
        in_time.result(10)
    assert hashes.passwords == ["first", "in time"]


def test_a_hash_that_has_started_finishes_however_long_it_takes() -> None:
    """Only the wait for a turn is bounded."""
    hasher = PasswordHasher(memory_kib=64, time_cost=1, threads=1, longest_wait=0.05)
    with held_hashes() as hashes, ThreadPoolExecutor() as callers:
        asked = callers.submit(hasher.hash, "correct horse")
        hashes.await_begun()
        elapse(0.1)
        hashes.go_on()
        assert asked.result(10)


def test_each_thread_hashes_one_password_at_a_time() -> None:
    hasher = PasswordHasher(memory_kib=64, time_cost=1, threads=2, longest_wait=60.0)
    with held_hashes() as hashes, ThreadPoolExecutor(6) as callers:
        asked = [callers.submit(hasher.hash, "correct horse") for _ in range(6)]
        for _ in asked:
            hashes.await_queued()
        for _ in range(2):
            hashes.await_begun()
        hashes.go_on()
        for each in asked:
            each.result(10)
    assert hashes.most_at_once == 2


def test_a_forked_child_hashes_in_its_own_threads(hasher: PasswordHasher) -> None:
    """Its parent's threads do not survive the fork."""
    hasher.hash(PASSWORD)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            encoded = hasher.hash(PASSWORD)
            status = 0 if hasher.verify(PASSWORD, encoded) else 2
        finally:
            os._exit(status)
    try:
        ended = eventually(lambda: os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG))
    except AssertionError:
        os.kill(child, signal.SIGKILL)
        raise
    assert ended.si_status == 0


OLDER = [
    {"time_cost": 1, "memory_cost": 8},
    {"time_cost": 1, "memory_cost": 4096},
    {"time_cost": 3, "memory_cost": 2048},
    {"time_cost": 2, "memory_cost": 7680},
]


@pytest.mark.parametrize("older", [*OLDER, None], ids=str)
def test_a_wrong_password_costs_the_same_whatever_the_parameters_of_the_hash(
    older: dict[str, int] | None,
) -> None:
    """In CPU time, which other processes hardly prolong: if they do, one of three measurements is
    right all the same. `kits.attacks timing` measures what a client can see."""
    hasher = PasswordHasher(memory_kib=9728, time_cost=2, threads=1, longest_wait=60.0)
    encoded = Argon2(parallelism=1, **older).hash(PASSWORD) if older else "not a hash"
    apart = min(difference(hasher, encoded) for _ in range(3))
    assert apart < 0.05


def difference(hasher: PasswordHasher, encoded: str) -> float:
    """How far a check of this hash is from one of an unknown name, as a part of the latter."""
    own, unknown = [], []
    for _ in range(15):
        unknown.append(cpu_time(hasher, None))
        own.append(cpu_time(hasher, encoded))
    return abs(statistics.median(own) / statistics.median(unknown) - 1)


def cpu_time(hasher: PasswordHasher, encoded: str | None) -> float:
    """Seconds of CPU time of a check in the hasher's only thread."""

    def now() -> float:
        return hasher._pool().submit(time.thread_time).result()

    started = now()
    assert not hasher.verify("another password", encoded)
    return now() - started


def test_a_right_password_verifies_whatever_the_parameters_of_the_hash(
    hasher: PasswordHasher,
) -> None:
    for older in OLDER:
        assert hasher.verify(PASSWORD, Argon2(parallelism=1, **older).hash(PASSWORD))
