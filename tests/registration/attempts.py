"""Attempts to register, and what they cost."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg

from service.accounts import usernames
from service.accounts.account import Account
from service.credentials.hashing import PasswordHasher
from service.errors import (
    CoatcheckError,
)

BOB = usernames.parse("bob")


class CountingHasher(PasswordHasher):
    """Counts its hashes, and calls `meanwhile` before each."""

    def __init__(self) -> None:
        super().__init__(memory_kib=64, time_cost=1, threads=2, longest_wait=60.0)
        self.hashes = 0
        self.meanwhile: Callable[[], None] = lambda: None

    def hash(self, password: str) -> str:
        self.hashes += 1
        self.meanwhile()
        return super().hash(password)


def rows(database: psycopg.Connection) -> list[str]:
    return [name for (name,) in database.execute("SELECT canonical_username FROM accounts")]


def race(attempts: int, register: Callable[[], Account]) -> list[Account | Exception]:
    """Call `register` from `attempts` threads at once."""
    barrier = threading.Barrier(attempts)
    outcomes: list[Account | Exception] = []

    def attempt() -> None:
        barrier.wait(10)
        try:
            outcomes.append(register())
        except CoatcheckError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(attempts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return outcomes
