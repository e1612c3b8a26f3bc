"""Passwords: what may be one, and argon2id in real threads."""

from __future__ import annotations

import os
import secrets
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Generic, NamedTuple, TypeVar

from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from precis_i18n import get_profile

from service import metrics
from service.errors import FieldError, InvalidInput, TooManyHashes

T = TypeVar("T")

NICENESS = 5
SMOOTHING = 0.2  # weight of the latest hash in how long one takes: it doubles under overload
CAUTION = 1.5  # times that a wait may turn out longer than expected: one in twenty does
MIN_LENGTH, MAX_LENGTH = 8, 256  # code points; NIST SP 800-63B asks for room for at least 64

_opaque_string = get_profile("OpaqueString")


def prepare(raw: str) -> str:
    """Bring a password to one form, so that another keyboard or system types the same bytes.

    RFC 8265, OpaqueString: other spaces become spaces, composition is normalised, case and width
    are kept.

    Raises:
        InvalidInput: it holds a control character or a lone surrogate, or nothing at all.
    """
    if raw and raw.isascii() and raw.isprintable():
        return raw  # which the profile leaves as it is, 130 µs later
    try:
        return _opaque_string.enforce(raw)
    except UnicodeEncodeError:
        raise _invalid(
            "characters", "That password holds characters that cannot be typed."
        ) from None


def check_new(raw: str) -> str:
    """The prepared form of a password that somebody wants to have from now on.

    Raises:
        InvalidInput: it is too short, too long or holds what no password may hold.
    """
    if len(raw) < MIN_LENGTH:
        raise _invalid("too_short", f"A password has at least {MIN_LENGTH} characters.")
    if len(raw) > MAX_LENGTH:
        raise _invalid("too_long", f"A password has at most {MAX_LENGTH} characters.")
    return prepare(raw)


def _invalid(code: str, message: str) -> InvalidInput:
    return InvalidInput(FieldError("password", code, message))


class PasswordHasher:
    """argon2id (RFC 9106; OWASP Password Storage Cheat Sheet) in real threads, so many at a time.

    It is libsodium's, which takes half the time of the reference library's: it uses AVX2 and
    AVX-512 where there is one. gevent cannot switch while a hash is computed: in the worker's own
    thread one login would hold up every other request for its 10 ms. The threads are nicer than the
    worker's own, or on few cores they would take so much of it that even a refusal waits.

    Nobody waits for long: who would is refused at once, and who did after all, when it is their
    turn. Time bounds the queue and not its length, since a hash takes 10 ms here and 100 there.
    """

    def __init__(self, memory_kib: int, time_cost: int, threads: int, longest_wait: float) -> None:
        """
        Args:
            memory_kib: memory of one hash, KiB.
            time_cost: passes over that memory.
            threads: hashes computed at the same time.
            longest_wait: seconds until a password's turn comes.
        """
        self._memory, self._time_cost = memory_kib * 1024, time_cost
        self._threads, self._longest_wait = threads, longest_wait
        self._lock = threading.Lock()
        self._pending = 0  # hashes asked for and not computed yet
        self._executor: Executor | None = None
        self._owner: int | None = None
        self._duration = 0.0  # seconds that a hash takes, of late; learned from the first ones
        # Nobody knows its password.
        self._decoy = self._computed(secrets.token_urlsafe())

    def place(self) -> Place:
        """A place in the queue, for a `with` statement: kept while somebody finds out whether there
        is anything to hash, so that those who find out meanwhile are not let in in vain."""
        return Place(self)

    def hash(self, password: str, place: Place | None = None) -> str:
        """The encoded hash of a prepared password.

        Args:
            password: as `prepare` returns it.
            place: where the caller waits already; given up when the hash is there.

        Raises:
            TooManyHashes: it would wait too long.
        """
        return self._run("hash", lambda: self._computed(password), place)

    def verify(self, password: str, encoded: str, place: Place | None = None) -> bool:
        """Whether `encoded` is a hash of the prepared password.

        Takes and raises what `hash` does.
        """
        return self._run("verify", lambda: _matches(password, encoded), place)

    def verify_nothing(self, place: Place | None = None) -> None:
        """Take as long as `verify`, for a login that is refused without a hash to compare with."""
        self.verify("", self._decoy, place)

    @property
    def is_full(self) -> bool:
        """Whether a hash asked for now would be refused: it is expected to wait too long."""
        ahead = max(0, self._pending - self._threads + 1)
        return CAUTION * ahead * self._duration / self._threads > self._longest_wait

    def is_outdated(self, encoded: str) -> bool:
        """Whether the hash was made with other parameters than those in force."""
        return _parameters(encoded) != _parameters(self._decoy)

    def _computed(self, password: str) -> str:
        return argon2id.str(password.encode(), self._time_cost, self._memory).decode()

    def _enter(self) -> None:
        with self._lock:
            if self.is_full:
                raise TooManyHashes
            self._pending += 1

    def _leave(self) -> None:
        with self._lock:
            self._pending -= 1

    def _run(self, kind: str, work: Callable[[], T], place: Place | None = None) -> T:
        with place or self.place():
            deadline = time.monotonic() + self._longest_wait
            done = self._pool().submit(_in_turn, work, deadline).result()
        if done is None:
            raise TooManyHashes
        with self._lock:
            self._duration += SMOOTHING * (done.duration - self._duration)
        metrics.HASHES.labels(kind).inc()
        return done.result

    def _pool(self) -> Executor:
        """Made with the first hash of a process: threads do not survive a fork."""
        if self._executor is None or self._owner != os.getpid():
            with self._lock:
                if self._executor is None or self._owner != os.getpid():
                    self._executor, self._owner = _real_threads(self._threads), os.getpid()
        return self._executor


class Place:
    """A place in the queue for a hasher's threads. Use `PasswordHasher.place`."""

    def __init__(self, hasher: PasswordHasher) -> None:
        self._hasher = hasher
        self._held = False

    def __enter__(self) -> Place:
        """Take it, unless it is held already.

        Raises:
            TooManyHashes: the password would wait too long.
        """
        if not self._held:
            self._hasher._enter()
            self._held = True
        return self

    def __exit__(self, *_: object) -> None:
        self.give_up()

    def give_up(self) -> None:
        """Leave it to others, until it is entered again."""
        if self._held:
            self._held = False
            self._hasher._leave()


def matches(hasher: PasswordHasher, raw: str, encoded: str) -> bool:
    """Whether `encoded` is a hash of a password as typed.

    Raises:
        TooManyHashes: it would wait too long.
    """
    try:
        return hasher.verify(prepare(raw), encoded)
    except InvalidInput:
        return False


def _matches(password: str, encoded: str) -> bool:
    try:
        return argon2id.verify(encoded.encode(), password.encode())
    except CryptoError:
        return False


def _parameters(encoded: str) -> str:
    """All but salt and hash, as in `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`."""
    return encoded.rsplit("$", 2)[0]


class Done(NamedTuple, Generic[T]):
    """What some work in a thread came to, and the seconds it took."""

    result: T
    duration: float


def _in_turn(work: Callable[[], T], deadline: float) -> Done[T] | None:
    """Do `work` in a thread that yields to others; None if its turn came too late. Only Linux gives
    each thread a niceness."""
    started = time.monotonic()
    if started > deadline:
        return None
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
    return Done(work(), time.monotonic() - started)


def _real_threads(count: int) -> Executor:
    monkey = sys.modules.get("gevent.monkey")
    if monkey and monkey.is_module_patched("threading"):
        from gevent.threadpool import ThreadPoolExecutor as GeventThreads

        return GeventThreads(count)
    return ThreadPoolExecutor(count, thread_name_prefix="argon2")
