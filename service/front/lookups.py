"""Looks up names in the index. Those that arrive during one query share the next."""

from __future__ import annotations

import asyncio

import structlog

from service.accounts.repository import AccountRepository, Registered
from service.accounts.usernames import Username
from service.errors import Unavailable
from service.front.lanes import Lane

log = structlog.get_logger()

LARGEST = 256  # names in one query
LIMIT = 0.5  # seconds to wait for an answer

Waiting = list[tuple[Username, asyncio.Future[Registered | None]]]


class Lookups:
    """Sends one query at a time, in a thread; a single name is looked up at once."""

    def __init__(self, accounts: AccountRepository, lane: Lane) -> None:
        """
        Args:
            accounts: reads the index.
            lane: the threads that read it.
        """
        self._accounts = accounts
        self._lane = lane
        self._waiting: Waiting = []
        self._asking: asyncio.Task[None] | None = None

    async def find(self, username: Username) -> Registered | None:
        """The committed row that has the name; None if there is none, or if the index does not
        answer within LIMIT."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Registered | None] = loop.create_future()
        self._waiting.append((username, found))
        if self._asking is None:
            self._asking = loop.create_task(self._ask_all())
        try:
            async with asyncio.timeout(LIMIT):
                return await found
        except TimeoutError:
            return None

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
                rows = await self._ask([name for name, found in batch if not found.done()])
                for name, found in batch:
                    if not found.done():
                        found.set_result(rows.get(name.canonical))
        finally:
            self._asking = None

    async def _ask(self, usernames: list[Username]) -> dict[str, Registered]:
        if not usernames:  # every request has given up
            return {}
        try:
            return await self._lane.run(lambda: self._accounts.registered_among(usernames))
        except Unavailable:
            return {}
        except Exception:
            log.exception("lookup_failed")
            return {}
