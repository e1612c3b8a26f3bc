"""Registration: the only code that decides whether a name is taken."""

from __future__ import annotations

import time
from contextlib import suppress

import structlog

from service import metrics
from service.accounts import usernames
from service.accounts.account import Account
from service.accounts.repository import AccountRepository
from service.audit.entry import Entry, Event, emit
from service.audit.trail import AuditTrail
from service.credentials.hashing import PasswordHasher
from service.credentials.policy import PasswordPolicy
from service.errors import (
    DatabaseUnavailable,
    InvalidInput,
    NameJustReleased,
    RegistrationUnresolved,
    RivalTooSlow,
    UsernameTaken,
)
from service.registration import attempt as attempts
from service.registration import names
from service.registration.attempt import Attempt
from service.registration.flights import Flight, Flights
from service.registration.names import Names
from service.registration.username_cache import State, Taken, UsernameCache
from service.sessions.ids import new_locator
from service.sessions.record import NOWHERE, Client
from service.throttling import buckets
from service.throttling.throttle import Throttle

log = structlog.get_logger()

PATIENCE = 9.0  # seconds that a request waits for all its rivals together

Outcome = Account | Taken  # the account that the attempt has created, or whose name it is


class Registration:
    """Registers accounts: one winner for each name, at the cost of one hash.

    The steps are flight, claim, index, hash, INSERT and publish. Each sees only the attempts that
    the cheaper steps before it could not reject.
    """

    def __init__(
        self,
        accounts: AccountRepository,
        cache: UsernameCache,
        hasher: PasswordHasher,
        policy: PasswordPolicy,
        audit: AuditTrail,
        throttle: Throttle,
    ) -> None:
        self._throttle = throttle
        self._accounts = accounts
        self._audit = audit
        self._names = Names(accounts, cache)
        self._hasher = hasher
        self._policy = policy
        self._flights = Flights()

    def register(
        self,
        raw_username: str,
        raw_password: str,
        idempotency_key: str | None = None,
        client: Client = NOWHERE,
    ) -> Account:
        """Create an account, or find the one that the same request has already created.

        Args:
            raw_username: as typed.
            raw_password: as typed.
            idempotency_key: the one that the client sent, if any. A request that is repeated
                within a day, with the same key, name and password, gets its account instead of
                "taken".
            client: where the request comes from.

        Returns:
            The account; its row is committed.

        Raises:
            InvalidInput: the input is unacceptable. Lists all that is wrong.
            UsernameTaken: a committed row has the name.
            TooManyRequests: the request repeats an earlier one, and too many passwords for that
                account were wrong.
            RegistrationUnresolved: Postgres failed halfway, and the account may exist. Carries the
                idempotency key with which the request is safe to repeat.
            DatabaseUnavailable: Postgres does not answer.
            TooManyHashes: too many passwords are waiting to be hashed.
            RivalTooSlow: other requests for the name take too long.
            NameJustReleased: the name became free a moment too late for this attempt.
        """
        attempt = attempts.parse(raw_username, raw_password, idempotency_key, self._policy, client)
        outcome = self._fly(attempt)
        if isinstance(outcome, Account):
            metrics.REGISTRATIONS.labels("registered").inc()
            emit(attempt.entry.of(outcome.id))
            return outcome
        if account := self._own_earlier(attempt, raw_password, outcome):
            return account
        metrics.REGISTRATIONS.labels("taken").inc()
        raise UsernameTaken

    def availability(self, raw_username: str) -> str | None:
        """Why the name cannot be registered now: taken, pending, reserved or invalid. None if it
        can.

        Raises:
            DatabaseUnavailable: the cache does not know, and Postgres does not answer.
        """
        try:
            username = usernames.parse(raw_username)
        except InvalidInput:
            return "invalid"
        if username.is_reserved:
            return "reserved"
        state = self._names.state(username)
        if isinstance(state, Taken):
            return "taken"
        return "pending" if state is State.PENDING else None

    def _fly(self, attempt: Attempt) -> Outcome:
        """Lead this process's flight for the name, or wait for the one under way."""
        name, deadline = attempt.username.canonical, time.monotonic() + PATIENCE
        overdue: Flight | None = None
        while (left := deadline - time.monotonic()) > 0:
            flight, leading = self._flights.join(name, overdue)
            if leading:
                return self._lead(attempt, flight)
            with suppress(TimeoutError):
                if taken := flight.result(min(left, names.RIVAL_TIMEOUT)):
                    return taken
            overdue = None if flight.done() else flight
        raise RivalTooSlow

    def _lead(self, attempt: Attempt, flight: Flight) -> Outcome:
        """Make the attempt, and tell the requests that wait for it what it finds."""
        taken: Taken | None = None
        try:
            outcome = self._claim_and_create(attempt)
            taken = outcome if isinstance(outcome, Taken) else Taken(attempt.key_digest)
            return outcome
        finally:
            self._flights.leave(attempt.username.canonical, flight, taken)

    def _claim_and_create(self, attempt: Attempt) -> Outcome:
        """Create the account under a claim, and release the claim if that fails."""
        if taken := self._names.claim(attempt):
            return taken
        outcome: Outcome | None = None
        try:
            outcome = self._create(attempt)
            return outcome
        finally:
            # Also if the name is taken: the name of a deleted account may not be published.
            if not isinstance(outcome, Account):
                self._names.release(attempt)

    def _create(self, attempt: Attempt) -> Outcome:
        """Ask the index, hash, and insert the row."""
        if taken := self._names.registered(attempt.username):
            return taken
        if account := self._insert(attempt, self._hasher.hash(attempt.password)):
            self._names.publish(attempt.username, Taken(attempt.key_digest))
            return account
        if taken := self._names.registered(attempt.username):
            return taken
        raise NameJustReleased

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
        the first commits or rolls back. If there is a row with this hash, it is from the first
        INSERT: no other hash has this salt."""
        try:
            return self._insert_once(attempt, password_hash) or self._accounts.with_hash(
                attempt.username, password_hash
            )
        except DatabaseUnavailable as error:
            raise RegistrationUnresolved(attempt.idempotency_key) from error

    def _insert_once(self, attempt: Attempt, password_hash: str) -> Account | None:
        return self._accounts.insert(
            attempt.username, password_hash, new_locator(), attempt.key_digest, attempt.entry
        )

    def _own_earlier(self, attempt: Attempt, raw_password: str, taken: Taken) -> Account | None:
        """The account that this client registered earlier, if it did. The same idempotency key is
        not enough: the client must know the password, which makes this a guess like any other."""
        if taken.key_digest != attempt.key_digest:
            return None
        found = self._accounts.credentials(attempt.username)
        if found is None:
            return None
        name = attempt.username.canonical
        charge = self._throttle.charge_if_possible(buckets.login(name, attempt.client.address))
        with charge:
            is_right = self._hasher.verify(raw_password, found.password_hash)
        if is_right:
            charge.refund(buckets.failures(name, found.account.id))
            return found.account
        self._audit.record(Entry(Event.PASSWORD_REFUSED, found.account.id, attempt.client))
        return None
