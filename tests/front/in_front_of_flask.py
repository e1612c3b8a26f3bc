"""The front alone, with something in Flask's place that counts."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from redis import Redis

from service.accounts import usernames
from service.accounts.repository import AccountRepository
from service.front.registrations import Registrations
from tests.entries import REGISTERED
from tests.passwords import PASSWORD

JSON = [(b"content-type", b"application/json")]
Open = Callable[..., AbstractAsyncContextManager[Registrations]]


class Flask:
    """In Flask's place: counts what goes on to it."""

    def __init__(self, wait: Callable[[], Awaitable[object]] | None = None) -> None:
        self.reached = 0
        self._wait = wait

    async def __call__(self) -> str:
        self.reached += 1
        if self._wait:
            await self._wait()
        return "from Flask"


def body(name: str) -> bytes:
    return json.dumps({"username": name, "password": PASSWORD}).encode()


def take(accounts: AccountRepository, name: str) -> None:
    assert accounts.insert(usernames.parse(name), "hash", "locator-----", "", REGISTERED)


def asked(redis: Redis, command: str) -> int:
    calls: int = redis.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0)
    return calls
