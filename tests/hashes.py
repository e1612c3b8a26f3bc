"""argon2id, held up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from nacl.pwhash import argon2id

PATIENCE = 20  # seconds


class HeldHashes:
    """Passwords that are hashed or verified, none of which ends before `go_on`."""

    def __init__(self) -> None:
        self.passwords: list[str] = []  # in the order in which their turn came
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._going_on = threading.Event()
        self._queued, self._begun = threading.Semaphore(0), threading.Semaphore(0)

    def await_queued(self) -> None:
        """Wait until one more password has a place in the queue, or its turn."""
        assert self._queued.acquire(timeout=PATIENCE)

    def await_begun(self) -> None:
        """Wait until the turn of one more password has come."""
        assert self._begun.acquire(timeout=PATIENCE)

    def go_on(self) -> None:
        self._going_on.set()

    def held(self, compute: Callable[[], Any], password: bytes) -> Any:
        with self._lock:
            self.passwords.append(password.decode())
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        self._begun.release()
        assert self._going_on.wait(PATIENCE)
        try:
            return compute()
        finally:
            with self._lock:
                self._at_once -= 1

    def queue(self) -> type[ThreadPoolExecutor]:
        queued = self._queued

        class Queue(ThreadPoolExecutor):
            def submit(self, *arguments: Any, **more: Any) -> Future[Any]:
                future = super().submit(*arguments, **more)
                queued.release()
                return future

        return Queue


@contextmanager
def held_hashes() -> Iterator[HeldHashes]:
    """Hold up every hash. A hasher whose queue is to be watched must not have hashed before."""
    hashes = HeldHashes()
    compute, verify = argon2id.str, argon2id.verify
    with (
        patch.object(argon2id, "str", lambda p, *rest: hashes.held(lambda: compute(p, *rest), p)),
        patch.object(argon2id, "verify", lambda e, p: hashes.held(lambda: verify(e, p), p)),
        patch("service.credentials.hashing.ThreadPoolExecutor", hashes.queue()),
    ):
        try:
            yield hashes
        finally:
            hashes.go_on()
