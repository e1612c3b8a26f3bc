"""Hashing passwords: argon2id, in threads of its own."""

from __future__ import annotations

import os
import secrets
import statistics
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id

from service import metrics
from service.credentials.passwords import PreparedPassword, prepare
from service.errors import InvalidInput, TooManyHashes

T = TypeVar("T")

NICENESS = 5
REMEMBERED = 32  # costs of the latest hashes, whose median is what a hash costs now
NEGLIGIBLE, LARGE_PART = 0.005, 0.6  # of what a hash costs; of what is left of it
SALT = bytes(argon2id.SALTBYTES)  # of what is computed only for the time that it takes


class PasswordHasher:
    """argon2id (RFC 9106; OWASP Password Storage Cheat Sheet), a few hashes at a time.

    libsodium computes them, because it uses AVX2 and AVX-512 where the machine has them. It
    releases the interpreter's lock. Its threads have a lower priority than the others: on few
    cores, they would otherwise delay even a rejection.

    Passwords are hashed in the order in which they arrive. A password whose turn does not come in
    time is rejected with TooManyHashes.
    """

    def __init__(self, memory_kib: int, time_cost: int, threads: int, longest_wait: float) -> None:
        """
        Args:
            memory_kib: memory for one hash, in KiB.
            time_cost: number of passes over that memory.
            threads: number of hashes computed at the same time.
            longest_wait: seconds that a password may wait for its turn.
        """
        self._memory, self._time_cost = memory_kib * 1024, time_cost
        self._threads, self._longest_wait = threads, longest_wait
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._owner_pid: int | None = None
        self._costs: deque[float] = deque(maxlen=REMEMBERED)  # seconds of CPU time
        self._decoy = self._computed(secrets.token_urlsafe())  # nobody knows its password
        self._current_parameters = _parameters(self._decoy)

    def hash(self, password: PreparedPassword) -> str:
        """The encoded hash of a password.

        Raises:
            TooManyHashes: its turn does not come in time.
        """
        return self._run("hash", lambda: self._computed(password))

    def verify(self, raw: str, encoded: str | None) -> bool:
        """Whether `encoded` is a hash of the password.

        A check takes the same time if there is no hash, if no password can look like `raw`, or if
        the hash is older and cheaper: otherwise its duration would tell which names exist. Only a
        hash that is more expensive than those of today shows, until its owner signs in.

        Args:
            raw: as typed.
            encoded: None if there is no hash to compare with.

        Raises:
            TooManyHashes: its turn does not come in time.
        """
        try:
            password = prepare(raw)
        except InvalidInput:
            password, encoded = PreparedPassword(""), None
        return self._run("verify", lambda: self._matches(password, encoded or self._decoy))

    def is_outdated(self, encoded: str) -> bool:
        """Whether the hash was made with parameters that are no longer in use."""
        return _parameters(encoded) != self._current_parameters

    def _computed(self, password: str) -> str:
        with self._cost_noted():
            return argon2id.str(password.encode(), self._time_cost, self._memory).decode()

    def _matches(self, password: str, encoded: str) -> bool:
        if not self.is_outdated(encoded):
            with self._cost_noted():
                return _is_hash_of(encoded, password)
        cost, started = statistics.median(tuple(self._costs)), time.thread_time()
        matches = _is_hash_of(encoded, password)
        self._spend(cost, started + cost)
        return matches

    def _spend(self, cost: float, end: float) -> None:
        """Hash until the thread has used as much CPU time as a hash costs. Each call takes a large
        part of what is left, because between two calls the thread may have to wait for others.

        Args:
            cost: of a whole hash, in seconds of CPU time.
            end: on the clock of the thread's CPU time.
        """
        while (part := (end - time.thread_time()) / cost) > NEGLIGIBLE:
            memory = int(self._memory * self._time_cost * part * LARGE_PART)
            memory = max(argon2id.MEMLIMIT_MIN, min(memory, self._memory))
            argon2id.kdf(argon2id.BYTES_MIN, b"", SALT, argon2id.OPSLIMIT_MIN, memory)

    @contextmanager
    def _cost_noted(self) -> Iterator[None]:
        started = time.thread_time()
        yield
        self._costs.append(time.thread_time() - started)

    def _run(self, kind: str, work: Callable[[], T]) -> T:
        deadline = time.monotonic() + self._longest_wait

        def in_turn() -> T:
            if time.monotonic() > deadline:
                raise TooManyHashes
            return work()

        result = self._pool().submit(in_turn).result()
        metrics.HASHES.labels(kind).inc()
        return result

    def _pool(self) -> ThreadPoolExecutor:
        """The threads. A process starts them for its first hash: they do not survive a fork."""
        if self._executor is None or self._owner_pid != os.getpid():
            with self._lock:
                if self._executor is None or self._owner_pid != os.getpid():
                    self._executor = ThreadPoolExecutor(
                        self._threads, thread_name_prefix="argon2", initializer=_be_nice
                    )
                    self._owner_pid = os.getpid()
        return self._executor


def _is_hash_of(encoded: str, password: str) -> bool:
    try:
        return argon2id.verify(encoded.encode(), password.encode())
    except CryptoError:
        return False


def _parameters(encoded: str) -> str:
    """Everything except salt and hash, as in `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`."""
    return encoded.rsplit("$", 2)[0]


def _be_nice() -> None:
    if sys.platform == "linux":  # the only system on which each thread has its own niceness
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
