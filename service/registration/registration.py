"""Registration: the only code that decides whether a name is taken."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from enum import Enum

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

RIVAL_TIMEOUT = 3.0  # seconds that an attempt waits for a rival before it proceeds unclaimed
PATIENCE = 9.0  # seconds that a request waits for rivals in all
# A rival that finds the name in the index takes a few milliseconds; one that hashes takes 30.
FIRST_POLL, LONGEST_POLL = 0.005, 0.05
LOOK_INTERVAL = 0.5  # seconds between looks at the index: a rival may die after its commit


class Claim(Enum):
    """How an attempt may proceed."""

    HELD = "held"
    NONE = "none"  # Redis or a rival does not answer in time; the index decides all the same


@dataclass(frozen=True)
class Created:
    """The attempt has created the account: its row is committed, and the name is taken."""

    account: Account
    taken: Taken


Outcome = Created | Taken


class Registration:
    """Registers accounts: one winner for each name, at the price of one hash.

    The order is cache, flight, claim, index, hash, INSERT, publish: each step sees only the
    attempts that the cheaper steps before it could not reject.
    """

    def __init__(
        self, accounts: AccountRepository, cache: UsernameCache, hasher: PasswordHasher
    ) -> None:
        self._accounts = accounts
        self._cache = cache
        self._hasher = hasher
        self._flights: Flights[Taken] = Flights()

    def register(
        self, raw_username: str, raw_password: str, idempotency_key: str | None = None
    ) -> Account:
        """Create an account, or find the one that the same request created earlier.

        Args:
            raw_username: as typed.
            raw_password: as typed.
            idempotency_key: sent by the client. A request repeated within a day, with the same
                key, name and password, gets its account instead of "taken".

        Returns:
            The account; its row is committed.

        Raises:
            InvalidInput: the input is unacceptable; lists everything that is wrong.
            UsernameTaken: a committed row has the name.
            RegistrationUnresolved: Postgres failed halfway, and the account may exist. Carries the
                key with which the request is safe to repeat.
            Unavailable: Postgres does not answer, too many passwords are waiting to be hashed, or
                a rival takes too long.
        """
        attempt = attempts.parse(raw_username, raw_password, idempotency_key)
        outcome = self._fly(attempt)
        if isinstance(outcome, Created):
            metrics.REGISTRATIONS.labels("registered").inc()
            return outcome.account
        if idempotency_key is not None and outcome.key_digest == attempt.key_digest:
            return self._own_earlier(attempt)
        metrics.REGISTRATIONS.labels("taken").inc()
        raise UsernameTaken

    def availability(self, raw_username: str) -> str | None:
        """Why the name cannot be registered right now: taken, pending, reserved or invalid; None
        if it can.

        Raises:
            DatabaseUnavailable: the answer is up to Postgres, which does not respond.
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

    def _fly(self, attempt: Attempt) -> Outcome:
        """Lead this process's flight for the name, or wait for the one under way."""
        name, deadline = attempt.username.canonical, time.monotonic() + PATIENCE
        overdue: Flight[Taken] | None = None
        while (left := deadline - time.monotonic()) > 0:
            flight, leading = self._flights.join(name, overdue)
            if leading:
                return self._lead(attempt, flight)
            overdue = None if flight.wait(min(left, RIVAL_TIMEOUT)) else flight
            if flight.found:
                return flight.found
        raise RivalTooSlow

    def _lead(self, attempt: Attempt, flight: Flight[Taken]) -> Outcome:
        """Make the attempt, and share with the requests that wait for it what it finds."""
        taken: Taken | None = None
        try:
            outcome = self._claim_and_create(attempt)
            taken = outcome.taken if isinstance(outcome, Created) else outcome
            return outcome
        finally:
            self._flights.leave(attempt.username.canonical, flight, taken)

    def _claim_and_create(self, attempt: Attempt) -> Outcome:
        """Create the account under a claim, which is released unless the account exists."""
        claim = self._claim(attempt)
        if isinstance(claim, Taken):
            return claim
        outcome: Outcome | None = None
        try:
            outcome = self._create(attempt)
            return outcome
        finally:
            # A published name has no claim left, but not every retired name is published.
            if claim is Claim.HELD and not isinstance(outcome, Created):
                self._release(attempt)

    def _claim(self, attempt: Attempt) -> Claim | Taken:
        """Wait until the attempt may proceed, or the name is taken."""
        started = looked = time.monotonic()
        interval = FIRST_POLL
        try:
            while (state := self._cache.claim(attempt.username, attempt.token)) is State.PENDING:
                now = time.monotonic()
                if now > started + RIVAL_TIMEOUT:
                    return Claim.NONE
                if now > looked + LOOK_INTERVAL:
                    looked = now
                    if taken := self._registered(attempt.username):
                        return taken
                time.sleep(interval * random.uniform(0.5, 1.5))
                interval = min(1.5 * interval, LONGEST_POLL)
        except UsernameCacheUnavailable:
            log.warning("username_cache_unavailable", step="claim")
            return Claim.NONE
        return state if isinstance(state, Taken) else Claim.HELD

    def _create(self, attempt: Attempt) -> Outcome:
        """Ask the index, hash, and insert the row."""
        if taken := self._registered(attempt.username):
            return taken
        account = self._insert(attempt, self._hasher.hash(attempt.password))
        if account:
            taken = Taken(attempt.key_digest)
            self._publish(attempt.username, taken)
            return Created(account, taken)
        if taken := self._registered(attempt.username):
            return taken
        raise DatabaseUnavailable  # released at this very moment: the next attempt may have it

    def _insert(self, attempt: Attempt, password_hash: str) -> Account | None:
        """Insert the row and commit; None if another committed row has the name."""
        try:
            return self._insert_once(attempt, password_hash)
        except DatabaseUnavailable as error:
            if not error.may_have_happened:
                raise
            log.warning("insert_outcome_unknown", reason=type(error.__cause__).__name__)
            return self._insert_again(attempt, password_hash)

    def _insert_again(self, attempt: Attempt, password_hash: str) -> Account | None:
        """Find out what became of an INSERT whose answer was lost. The second INSERT waits until
        the first commits or rolls back. If it meets a row with this hash, that row is the first
        one's: no other hash has this salt."""
        try:
            return self._insert_once(attempt, password_hash) or self._accounts.with_hash(
                attempt.username, password_hash
            )
        except DatabaseUnavailable as error:
            raise RegistrationUnresolved(attempt.idempotency_key) from error

    def _insert_once(self, attempt: Attempt, password_hash: str) -> Account | None:
        return self._accounts.insert(
            attempt.username, password_hash, new_locator(), attempt.key_digest
        )

    def _own_earlier(self, attempt: Attempt) -> Account:
        """The account that this client registered earlier. The key alone proves nothing."""
        found = self._accounts.credentials(attempt.username)
        if found is None or not self._hasher.verify(attempt.password, found[1]):
            raise UsernameTaken
        return found[0]

    def _registered(self, username: Username) -> Taken | None:
        """What the index says about the name; a name that is taken is published."""
        row = self._accounts.registered(username)
        if row is None:
            return None
        taken = Taken(row.key_digest)
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
    """Whether the cache may call the name taken. A retired name becomes free one day, and no entry
    may outlive its quarantine."""
    return row.quarantine_left is None or row.quarantine_left > 2 * LONGEST_LIFETIME
