"""The username cache: Redis in front of the unique index.

It rejects duplicates before they cost a hash or a query, and lets one of many racing attempts
proceed. It is never the authority: without it, registration is slower, and just as correct.
"""

from __future__ import annotations

import math
import random
import time
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from threading import Lock
from typing import cast

from redis import Redis, RedisCluster

from service.accounts.usernames import Username
from service.errors import UsernameCacheUnavailable
from service.storage.redis import failing_as

SCRIPTS = Path(__file__).parent / "lua"
CLAIM_LIFETIME_MS = 10_000
TAKEN_LIFETIME = 3600  # seconds, ± 20 %, so that names cached together do not expire together
TAKEN_JITTER = 0.2
LONGEST_LIFETIME = TAKEN_LIFETIME * (1 + TAKEN_JITTER)
MOST_REMEMBERED = 4096  # names, in each worker
REMEMBERED = 1.0  # seconds during which a worker does not ask again whether a name is taken


class State(Enum):
    """What the cache says about a name that is not known to be taken. "Free" is never cached."""

    ABSENT = "absent"
    PENDING = "pending"
    CLAIMED = "claimed"


STATES = {state.value: state for state in State}


@dataclass(frozen=True)
class Taken:
    """A committed row has the name."""

    key_digest: str  # of the idempotency key with which it was registered; empty after a day


class UsernameCache:
    """One string per name, `coatcheck:username:CANONICAL`: `pending:TOKEN` while an attempt is
    under way, then `taken:KEY_DIGEST`.

    If Redis does not answer, methods that ask it raise UsernameCacheUnavailable within a second.
    """

    def __init__(self, redis: Redis | RedisCluster) -> None:
        self._redis = redis
        self._seen_taken: OrderedDict[str, float] = OrderedDict()  # when, by the monotonic clock
        self._remembering = Lock()
        self._claim = redis.register_script((SCRIPTS / "claim.lua").read_text(encoding="utf-8"))
        self._release = redis.register_script((SCRIPTS / "release.lua").read_text(encoding="utf-8"))

    def claim(self, username: Username, token: str) -> State | Taken:
        """Claim the name for `token`: CLAIMED, PENDING if a rival holds the claim, or Taken."""
        with failing_as(UsernameCacheUnavailable):
            return _state(self._claim(keys=[key_of(username)], args=[token, CLAIM_LIFETIME_MS]))

    def state(self, username: Username) -> State | Taken:
        """What the cache knows about the name: ABSENT, PENDING or Taken."""
        with failing_as(UsernameCacheUnavailable):
            reply = self._redis.get(key_of(username))
        return self.parse_reply(username, cast(bytes | None, reply))

    def parse_reply(self, username: Username, reply: bytes | None) -> State | Taken:
        """What a reply to GET says about the name. A taken name is remembered for a moment."""
        state = _state(reply or b"absent")
        if isinstance(state, Taken):
            self.remember(username)
        return state

    def remembers(self, username: Username) -> bool:
        """Whether this process has just learned that the name is taken."""
        seen = self._seen_taken.get(username.canonical, -math.inf)
        return time.monotonic() - seen < REMEMBERED

    def publish(self, username: Username, taken: Taken) -> None:
        """Record that a committed row has the name. Any process that has seen the row may do it."""
        self.remember(username)
        with failing_as(UsernameCacheUnavailable):
            self._redis.execute_command(*self.publication(username, taken))  # type: ignore[no-untyped-call]

    @staticmethod
    def publication(username: Username, taken: Taken) -> tuple[str, ...]:
        """The Redis command that publishes the name."""
        lifetime = TAKEN_LIFETIME * random.uniform(1 - TAKEN_JITTER, 1 + TAKEN_JITTER)
        milliseconds = round(lifetime * 1000)
        return ("SET", key_of(username), f"taken:{taken.key_digest}", "PX", str(milliseconds))

    def release(self, username: Username, token: str) -> None:
        """Give up the claim of `token`. A rival's claim stays."""
        with failing_as(UsernameCacheUnavailable):
            self._release(keys=[key_of(username)], args=[token])

    def remember(self, username: Username) -> None:
        """Remember for a moment that the name is taken, so that Redis is not asked again."""
        with self._remembering:
            self._seen_taken[username.canonical] = time.monotonic()
            self._seen_taken.move_to_end(username.canonical)
            if len(self._seen_taken) > MOST_REMEMBERED:
                self._seen_taken.popitem(last=False)

    def ping(self) -> None:
        """Check that Redis answers."""
        with failing_as(UsernameCacheUnavailable):
            self._redis.ping()


def key_of(username: Username) -> str:
    return f"coatcheck:username:{username.canonical}"


def _state(answer: bytes) -> State | Taken:
    word, _, rest = answer.decode().partition(":")
    if word == "taken":
        return Taken(rest)
    # An entry of an unknown form says nothing: the cache is never the authority.
    return STATES.get(word, State.ABSENT)
