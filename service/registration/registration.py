"""Registration: where a name is decided to be taken, and nowhere else."""

from __future__ import annotations

import random
import time

import structlog

from service import metrics
from service.accounts import usernames
from service.accounts.account import Account
from service.accounts.repository import AccountRepository, Registered
from service.accounts.usernames import Username
from service.credentials.hashing import PasswordHasher
from service.errors import (
    DatabaseUnavailable,
    InvalidInput,
    RegistrationUnresolved,
    RivalTooSlow,
    UsernameCacheUnavailable,
    UsernameTaken,
)
from service.registration import attempt as attempts
from service.registration.attempt import Attempt
from service.registration.flights import Flight, Flights
from service.registration.username_cache import LONGEST_LIFETIME, State, Taken, UsernameCache
from service.sessions.ids import new_locator

log = structlog.get_logger()

RIVAL_TIMEOUT = 3.0  # seconds that an attempt waits for a rival's, before it goes ahead unclaimed
PATIENCE = 9.0  # seconds that a request waits for rivals in all
# A rival that finds the name in the index is done in a few milliseconds, one that hashes in 30.
FIRST_POLL, LONGEST_POLL = 0.005, 0.05
LOOK_INTERVAL = 0.5  # between looks at the index: a rival may have died after its commit


class Registration:
    """Registers accounts: one winner for each name, at the price of one hash.

    The order is cache, flight, claim, index, hash, INSERT, publish, so that each step is reached
    only by those whom the cheaper ones before it could not turn away.
    """

    def __init__(
        self, accounts: AccountRepository, cache: UsernameCache, hasher: PasswordHasher
    ) -> None:
        self._accounts = accounts
        self._cache = cache
        self._hasher = hasher
        self._flights: Flights[Taken] = Flights()

    def register(self, raw_username: str, raw_password: str, key: str | None = None) -> Account:
        """Create an account, or find that the same request created it before.

        Args:
            raw_username: as typed.
            raw_password: as typed.
            key: the client's Idempotency-Key. A repeated request with the same key, name and
                password within a day finds its account instead of a taken name.

        Returns:
            The account; its row is committed.

        Raises:
            InvalidInput: something cannot be accepted; says all that is wrong.
            UsernameTaken: a committed row has the name.
            RegistrationUnresolved: Postgres broke down under way; the account may exist. Carries
                the key with which the request can be repeated safely.
            Unavailable: Postgres does not answer, too many passwords wait to be hashed, or a
                rival takes too long.
        """
        attempt = attempts.parse(raw_username, raw_password, key)
        account, taken = self._fly(attempt)
        if account:
            metrics.REGISTRATIONS.labels("registered").inc()
            return account
        if key is not None and taken.key == attempt.key_digest:
            return self._own_earlier(attempt)
        metrics.REGISTRATIONS.labels("taken").inc()
        raise UsernameTaken

    def availability(self, raw_username: str) -> str | None:
        """Why the name cannot be registered right now: taken, pending, reserved or invalid; None
        if it can.

        Raises:
            DatabaseUnavailable: Postgres had to be asked, and does not answer.
        """
        try:
            username = usernames.parse(raw_username)
        except InvalidInput:
            return "invalid"
        if username.is_reserved:
            return "reserved"
        try:
            state = self._cache.state(username)
        except UsernameCacheUnavailable:
            state = State.ABSENT
        if state is State.PENDING:
            return "pending"
        return "taken" if isinstance(state, Taken) or self._registered(username) else None

    def _fly(self, attempt: Attempt) -> tuple[Account | None, Taken]:
        """Lead the attempt of this process for the name, or wait for the one under way."""
        name, deadline = attempt.username.canonical, time.monotonic() + PATIENCE
        overdue: Flight[Taken] | None = None
        while (left := deadline - time.monotonic()) > 0:
            flight, leading = self._flights.join(name, overdue)
            if leading:
                return self._lead(attempt, flight)
            overdue = None if flight.wait(min(left, RIVAL_TIMEOUT)) else flight
            if flight.found:
                return None, flight.found
        raise RivalTooSlow

    def _lead(self, attempt: Attempt, flight: Flight[Taken]) -> tuple[Account | None, Taken]:
        taken: Taken | None = None
        try:
            claim = self._claim(attempt)
            if isinstance(claim, Taken):
                account, taken = None, claim
            else:
                account, taken = self._create_or_release(attempt, claim)
            return account, taken
        finally:
            self._flights.leave(attempt.username.canonical, flight, taken)

    def _claim(self, attempt: Attempt) -> bool | Taken:
        """Wait for the right to go ahead. False: without a claim, since Redis or a rival does not
        come back in time; the index decides all the same."""
        started = looked = time.monotonic()
        interval = FIRST_POLL
        try:
            while (state := self._cache.claim(attempt.username, attempt.token)) is State.PENDING:
                now = time.monotonic()
                if now > started + RIVAL_TIMEOUT:
                    return False
                if now > looked + LOOK_INTERVAL:
                    looked = now
                    if taken := self._registered(attempt.username):
                        return taken
                time.sleep(interval * random.uniform(0.5, 1.5))
                interval = min(1.5 * interval, LONGEST_POLL)
        except UsernameCacheUnavailable:
            log.warning("username_cache_unavailable", step="claim")
            return False
        return state if isinstance(state, Taken) else True

    def _create_or_release(self, attempt: Attempt, claimed: bool) -> tuple[Account | None, Taken]:
        try:
            taken = self._registered(attempt.username)
            if taken is None:
                return self._create(attempt)
        except BaseException:
            if claimed:
                self._release(attempt)
            raise
        if claimed:  # in vain if it was published, but not every retired name is
            self._release(attempt)
        return None, taken

    def _create(self, attempt: Attempt) -> tuple[Account | None, Taken]:
        password_hash = self._hasher.hash(attempt.password)
        try:
            account = self._insert(attempt, password_hash)
        except DatabaseUnavailable as error:
            if not error.may_have_happened:
                raise
            log.warning("insert_outcome_unknown", reason=type(error.__cause__).__name__)
            account = self._insert_again(attempt, password_hash)
        if account:
            taken = Taken(attempt.key_digest)
            self._publish(attempt.username, taken)
            return account, taken
        if rivals := self._registered(attempt.username):
            return None, rivals
        raise DatabaseUnavailable  # released in this very moment: the next attempt may have it

    def _insert(self, attempt: Attempt, password_hash: str) -> Account | None:
        return self._accounts.insert(
            attempt.username, password_hash, new_locator(), attempt.key_digest
        )

    def _insert_again(self, attempt: Attempt, password_hash: str) -> Account | None:
        """Find out what became of an INSERT whose answer was lost. The second one waits for the
        fate of the first, and meets its row if it lives: no other has a hash with this salt."""
        try:
            return self._insert(attempt, password_hash) or self._accounts.with_hash(
                attempt.username, password_hash
            )
        except DatabaseUnavailable as error:
            raise RegistrationUnresolved(attempt.key) from error

    def _own_earlier(self, attempt: Attempt) -> Account:
        """The account that this client registered before. The key proves nothing by itself."""
        found = self._accounts.credentials(attempt.username)
        if found is None or not self._hasher.verify(attempt.password, found[1]):
            raise UsernameTaken
        return found[0]

    def _registered(self, username: Username) -> Taken | None:
        """What the index says of the name; from then on the cache says it too."""
        row = self._accounts.registered(username)
        if row is None:
            return None
        taken = Taken(row.key)
        if may_be_published(row):
            self._publish(username, taken)
        return taken

    def _publish(self, username: Username, taken: Taken) -> None:
        try:
            self._cache.publish(username, taken)
        except UsernameCacheUnavailable:
            log.warning("username_cache_unavailable", step="publish")

    def _release(self, attempt: Attempt) -> None:
        try:
            self._cache.release(attempt.username, attempt.token)
        except UsernameCacheUnavailable:
            log.warning("username_cache_unavailable", step="release")


def may_be_published(row: Registered) -> bool:
    """Whether the cache may say that the name is taken: a retired name will be free one day, and no
    entry may outlive its quarantine."""
    return row.quarantine_left is None or row.quarantine_left > 2 * LONGEST_LIFETIME
