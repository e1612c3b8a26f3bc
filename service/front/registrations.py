"""Registrations on the event loop, which rejects names that it knows are taken.

A burst of requests for taken names costs no thread and no hash. In a burst for one name, one
request of each worker leads, and the others wait for its outcome. A request that is not simple goes
to Flask, which decides about it from the start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import structlog

from service import metrics
from service.accounts.repository import AccountRepository
from service.accounts.usernames import Username
from service.credentials.policy import PasswordPolicy
from service.errors import Busy, RivalTooSlow, UsernameTaken
from service.front.asgi import RawHeaders
from service.front.lanes import Lane
from service.front.lookups import Lookups
from service.front.simple_registration import username_of
from service.registration.names import may_be_published
from service.registration.username_cache import State, Taken, UsernameCache, key_of
from service.storage.lines import Lines
from service.storage.redis_failures import REDIS_FAILURES
from service.web.answers import Answer
from service.web.problems import problem_of

T = TypeVar("T")

log = structlog.get_logger()

PATH = "/api/v1/accounts"
PATIENCE = 3.0  # seconds that a request waits for the leading one for its name

TAKEN = problem_of(UsernameTaken()).answer()


class Registrations:
    """Rejects taken names, and lets one request at a time proceed for each other name."""

    def __init__(
        self,
        cache: UsernameCache,
        lines: Lines,
        accounts: AccountRepository,
        lookup_lane: Lane,
        password_lane: Lane,
        policy: PasswordPolicy,
    ) -> None:
        """
        Args:
            cache: remembers taken names, and parses the entries in Redis.
            lines: connections to the Redis of the cache.
            accounts: reads the index.
            lookup_lane: the threads that read it.
            password_lane: the threads in which `proceed` runs a request.
            policy: for the passwords.
        """
        self._cache = cache
        self._lines = lines
        self._index = Lookups(accounts, lookup_lane)
        self._password_lane = password_lane
        self._policy = policy
        self._under_way: dict[str, asyncio.Future[None]] = {}
        self._taken = metrics.Tally(metrics.REGISTRATIONS.labels("taken"))

    async def answer(
        self, headers: RawHeaders, body: bytes, proceed: Callable[[], Awaitable[T]]
    ) -> Answer | T:
        """Reject a registration, or return what `proceed` returns.

        Args:
            headers: of the request, with names in lower case.
            body: of the request.
            proceed: hands the request to Flask.

        Raises:
            Whatever `proceed` raises.
        """
        username = username_of(headers, body, self._policy)
        if username is None:
            return await proceed()
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while not self._cache.remembers(username):
            under_way = self._under_way.get(username.canonical)
            if under_way is None:
                if self._password_lane.is_overrun:
                    return await self._turn_away(username)
                return await self._lead(username, proceed)
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or not (await asyncio.wait([under_way], timeout=left))[0]:
                return problem_of(RivalTooSlow()).answer()
        return await self._reject_taken()

    def rejection(
        self, headers: RawHeaders, body: bytes
    ) -> Callable[[], Coroutine[Any, Any, Answer]] | None:
        """Rejects the request when it is called, if it is already clear that the name is taken or
        that no thread will become free in time; None if the request has a chance."""
        username = username_of(headers, body, self._policy)
        if username is None:
            return None
        if self._cache.remembers(username):
            return self._reject_taken
        if self._password_lane.is_overrun and username.canonical not in self._under_way:
            return partial(self._turn_away, username)
        return None

    async def close(self) -> None:
        """Close the connections."""
        await self._lines.close()

    async def _reject_taken(self) -> Answer:
        self._taken.count()
        return TAKEN

    async def _turn_away(self, username: Username) -> Answer:
        """Reject a registration that will get no thread in time, at the cost of one read of the
        cache: 409 if the name is taken, otherwise 503, as late as if it had waited."""
        if isinstance(await self._look_up(username), Taken):
            return await self._reject_taken()
        try:
            await self._password_lane.turn_away()
        except Busy as error:
            return problem_of(error).answer()

    async def _lead(self, username: Username, proceed: Callable[[], Awaitable[T]]) -> Answer | T:
        landed = asyncio.get_running_loop().create_future()
        self._under_way[username.canonical] = landed
        try:
            if await self._is_taken(username):
                return await self._reject_taken()
            return await proceed()
        finally:
            del self._under_way[username.canonical]
            landed.set_result(None)

    async def _look_up(self, username: Username) -> State | Taken | None:
        """What the cache knows about the name; None if Redis does not answer."""
        key = key_of(username)
        try:
            reply = await self._lines.call(key, b"GET", key.encode())
        except REDIS_FAILURES:
            log.warning("username_cache_unavailable", step="look")
            return None
        return self._cache.parse_reply(username, reply)

    async def _is_taken(self, username: Username) -> bool:
        """Whether the name is known to be taken; False also if neither the cache nor the index
        answers."""
        known = await self._look_up(username)
        if isinstance(known, Taken):
            return True
        if self._password_lane.is_full:
            # Most requests will be rejected for lack of time, and a query for each would slow down
            # the others. Flask asks the index about those that get a thread.
            return False
        row = await self._index.find(username)
        if row is None:
            return False
        if may_be_published(row):
            self._cache.remember(username)
            if known is not None:
                await self._publish(username, Taken(row.key_digest))
        return True

    async def _publish(self, username: Username, taken: Taken) -> None:
        command = [word.encode() for word in self._cache.publication(username, taken)]
        try:
            await self._lines.call(key_of(username), *command)
        except REDIS_FAILURES:
            log.warning("username_cache_unavailable", step="publish")
