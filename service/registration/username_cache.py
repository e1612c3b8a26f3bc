"""The username cache: a Redis in front of the unique index.

It turns duplicates away before they cost a hash or a query, and lets one of many racing attempts
go ahead. It is never the authority: without it registration is slower and just as correct.
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
REMEMBERED = 1.0  # seconds that a worker needs not ask again whether a name is taken


class State(Enum):
    """What the cache says of a name that is not taken. That it is free is never cached."""

    ABSENT = "absent"
    PENDING = "pending"
    CLAIMED = "claimed"


@dataclass(frozen=True)
class Taken:
    """A committed row has the name; `key` is the digest of the idempotency key that registered
    it, as long as that matters, then empty."""

    key: str


class UsernameCache:
    """One string per name, `coatcheck:username:CANONICAL`: `pending:TOKEN` while an attempt is
    under way, then `taken:KEY`.

    Every method that asks Redis raises UsernameCacheUnavailable, within a second, if it does not
    answer.
    """

    def __init__(self, redis: Redis | RedisCluster) -> None:
        self._redis = redis
        self._seen_taken: OrderedDict[str, float] = OrderedDict()  # when, by the monotonic clock
        self._remembering = Lock()
        self._claim = redis.register_script((SCRIPTS / "claim.lua").read_text(encoding="utf-8"))
        self._release = redis.register_script((SCRIPTS / "release.lua").read_text(encoding="utf-8"))

    def claim(self, username: Username, token: str) -> State | Taken:
        """Ask for the name: CLAIMED by `token`, PENDING for another, or Taken."""
        with failing_as(UsernameCacheUnavailable):
            return _state(self._claim(keys=[key_of(username)], args=[token, CLAIM_LIFETIME_MS]))

    def state(self, username: Username) -> State | Taken:
        """What the cache knows of the name: ABSENT, PENDING or Taken."""
        with failing_as(UsernameCacheUnavailable):
            reply = self._redis.get(key_of(username))
        return self.understood(username, cast(bytes | None, reply))

    def understood(self, username: Username, reply: bytes | None) -> State | Taken:
        """What GET replied for the name. A name that is taken is remembered for a moment."""
        state = _state(reply or b"absent")
        if isinstance(state, Taken):
            self.remember(username)
        return state

    def remembers(self, username: Username) -> bool:
        """Whether this process has just learned that the name is taken, which it stays."""
        seen = self._seen_taken.get(username.canonical, -math.inf)
        return time.monotonic() - seen < REMEMBERED

    def publish(self, username: Username, taken: Taken) -> None:
        """Say that a committed row has the name. True for good: whoever has seen the row may."""
        self.remember(username)
        with failing_as(UsernameCacheUnavailable):
            self._redis.execute_command(*self.publication(username, taken))  # type: ignore[no-untyped-call]

    @staticmethod
    def publication(username: Username, taken: Taken) -> tuple[str, ...]:
        """The command that publishes it."""
        lifetime = TAKEN_LIFETIME * random.uniform(1 - TAKEN_JITTER, 1 + TAKEN_JITTER)
        milliseconds = round(lifetime * 1000)
        return ("SET", key_of(username), f"taken:{taken.key}", "PX", str(milliseconds))

    def release(self, username: Username, token: str) -> None:
        """Give up the claim of `token`; another's stays."""
        with failing_as(UsernameCacheUnavailable):
            self._release(keys=[key_of(username)], args=[token])

    def remember(self, username: Username) -> None:
        """Spare Redis the question for a moment: the name is taken."""
        with self._remembering:
            self._seen_taken[username.canonical] = time.monotonic()
            self._seen_taken.move_to_end(username.canonical)
            if len(self._seen_taken) > MOST_REMEMBERED:
                self._seen_taken.popitem(last=False)

    def ping(self) -> None:
        """Ask for a sign of life."""
        with failing_as(UsernameCacheUnavailable):
            self._redis.ping()


def key_of(username: Username) -> str:
    return f"coatcheck:username:{username.canonical}"


def _state(answer: bytes) -> State | Taken:
    word, _, rest = answer.decode().partition(":")
    return Taken(rest) if word == "taken" else State(word)
