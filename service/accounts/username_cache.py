"""The username cache: a Redis in front of the unique index.

It turns duplicates away before they cost a hash or a query, and lets one of many racing attempts
go ahead. It is never the authority: without it registration is slower and just as correct.
"""

from __future__ import annotations

import random
from enum import Enum
from pathlib import Path

from redis import Redis

from service.accounts.usernames import Username
from service.errors import UsernameCacheUnavailable
from service.storage.redis import failing_as

SCRIPTS = Path(__file__).parent / "lua"
CLAIM_LIFETIME_MS = 10_000
TAKEN_LIFETIME = 3600  # seconds, ± 20 %, so that names cached together do not expire together
TAKEN_JITTER = 0.2


class State(Enum):
    """What the cache says of a name. That it is free is never cached."""

    ABSENT = "absent"
    PENDING = "pending"
    TAKEN = "taken"
    CLAIMED = "claimed"


class UsernameCache:
    """One string per name, `coatcheck:username:CANONICAL`: `pending:TOKEN` while an attempt is
    under way, then `taken`.

    Every method raises UsernameCacheUnavailable, within a second, if Redis does not answer.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._claim = redis.register_script((SCRIPTS / "claim.lua").read_text(encoding="utf-8"))
        self._release = redis.register_script((SCRIPTS / "release.lua").read_text(encoding="utf-8"))

    def claim(self, username: Username, token: str) -> State:
        """Ask for the name: TAKEN, PENDING (another's) or CLAIMED by `token`."""
        with failing_as(UsernameCacheUnavailable):
            answer: bytes = self._claim(keys=[_key(username)], args=[token, CLAIM_LIFETIME_MS])
        return State(answer.decode())

    def state(self, username: Username) -> State:
        """What the cache knows of the name: ABSENT, PENDING or TAKEN."""
        with failing_as(UsernameCacheUnavailable):
            value = self._redis.get(_key(username))
        if value is None:
            return State.ABSENT
        return State.TAKEN if value == b"taken" else State.PENDING

    def publish_taken(self, username: Username) -> None:
        """Say that a committed row has the name. True for good: whoever has seen the row may."""
        lifetime = TAKEN_LIFETIME * random.uniform(1 - TAKEN_JITTER, 1 + TAKEN_JITTER)
        with failing_as(UsernameCacheUnavailable):
            self._redis.set(_key(username), "taken", px=round(lifetime * 1000))

    def release(self, username: Username, token: str) -> None:
        """Give up the claim of `token`; another's stays."""
        with failing_as(UsernameCacheUnavailable):
            self._release(keys=[_key(username)], args=[token])

    def ping(self) -> None:
        """Ask for a sign of life."""
        with failing_as(UsernameCacheUnavailable):
            self._redis.ping()


def _key(username: Username) -> str:
    return f"coatcheck:username:{username.canonical}"
