"""What the cache and the index know about a name."""

from __future__ import annotations

import random
import time

import structlog

from service.accounts.repository import AccountRepository, Registered
from service.accounts.usernames import Username
from service.errors import UsernameCacheUnavailable
from service.registration.attempt import Attempt
from service.registration.username_cache import LONGEST_LIFETIME, State, Taken, UsernameCache

log = structlog.get_logger()

RIVAL_TIMEOUT = 3.0  # seconds that an attempt waits for a rival before it proceeds unclaimed
# Seconds. Short at first, because a rival that finds the name in the index needs no hash.
FIRST_POLL, LONGEST_POLL = 0.005, 0.05
LOOK_INTERVAL = 0.5  # seconds between looks at the index: a rival may die after its commit


class Names:
    """Claims names in the cache, looks them up in the index, and publishes taken ones.

    An outage of the cache is only logged. An outage of the index raises DatabaseUnavailable.
    """

    def __init__(self, accounts: AccountRepository, cache: UsernameCache) -> None:
        self._accounts = accounts
        self._cache = cache

    def claim(self, attempt: Attempt) -> Taken | None:
        """Wait until the attempt may proceed (None), or the name is taken.

        The attempt proceeds without a claim if Redis or a rival does not answer in time: the index
        decides all the same.
        """
        started = looked = time.monotonic()
        interval = FIRST_POLL
        try:
            while (state := self._cache.claim(attempt.username, attempt.token)) is State.PENDING:
                now = time.monotonic()
                if now > started + RIVAL_TIMEOUT:
                    return None
                if now > looked + LOOK_INTERVAL:
                    looked = now
                    if taken := self.registered(attempt.username):
                        return taken
                time.sleep(interval * random.uniform(0.5, 1.5))
                interval = min(1.5 * interval, LONGEST_POLL)
        except UsernameCacheUnavailable:
            log.warning("username_cache_unavailable", step="claim")
            return None
        return state if isinstance(state, Taken) else None

    def release(self, attempt: Attempt) -> None:
        """Give up the attempt's claim, if it has one."""
        try:
            self._cache.release(attempt.username, attempt.token)
        except UsernameCacheUnavailable:
            log.warning("username_cache_unavailable", step="release")

    def state(self, username: Username) -> State | Taken:
        """ABSENT if the name is free, PENDING while a claim may still fail, or Taken."""
        try:
            state = self._cache.state(username)
        except UsernameCacheUnavailable:
            state = State.ABSENT
        return (self.registered(username) or state) if state is State.ABSENT else state

    def registered(self, username: Username) -> Taken | None:
        """Whether the name is in the index. If it is, the cache learns it."""
        row = self._accounts.registered(username)
        if row is None:
            return None
        taken = Taken(row.key_digest)
        if may_be_published(row):
            self.publish(username, taken)
        return taken

    def publish(self, username: Username, taken: Taken) -> None:
        """Record in the cache that a committed row has the name."""
        try:
            self._cache.publish(username, taken)
        except UsernameCacheUnavailable:
            log.warning("username_cache_unavailable", step="publish")


def may_be_published(row: Registered) -> bool:
    """Whether the cache may call the name taken. A retired name becomes free after its quarantine,
    which no entry may outlive."""
    return row.quarantine_left is None or row.quarantine_left > 2 * LONGEST_LIFETIME
