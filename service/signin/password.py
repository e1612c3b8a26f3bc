"""Username and password as the first factor."""

from __future__ import annotations

from collections.abc import Collection

import structlog

from service.accounts import usernames
from service.accounts.account import Credentials
from service.accounts.known_devices import Mark
from service.accounts.repository import AccountRepository
from service.audit.entry import Entry, Event
from service.audit.trail import AuditTrail
from service.credentials import passwords
from service.credentials.hashing import PasswordHasher
from service.errors import (
    InvalidCredentials,
    InvalidInput,
    NotSignedIn,
    Unavailable,
    WrongPassword,
)
from service.sessions.record import NOWHERE, Client, SignedIn
from service.signin.flow import Proof, Reason, refusal
from service.throttling import buckets
from service.throttling.table import Limited
from service.throttling.throttle import Throttle

log = structlog.get_logger()


class PasswordFactor:
    """Checks credentials. Every rejection says the same and takes the same time, so that an
    attacker cannot learn which names exist (OWASP Authentication Cheat Sheet).

    Every attempt is charged before it is checked. Without Redis it fails at once: no session could
    follow, and the answer would only tell whether the password is right.
    """

    def __init__(
        self,
        accounts: AccountRepository,
        hasher: PasswordHasher,
        audit: AuditTrail,
        throttle: Throttle,
    ) -> None:
        self._throttle = throttle
        self._accounts = accounts
        self._hasher = hasher
        self._audit = audit

    def prove(
        self,
        raw_username: str,
        raw_password: str,
        client: Client = NOWHERE,
        marks: Collection[Mark] = (),
    ) -> Proof:
        """Proof that the client owns the account with this name.

        A hash with outdated parameters is renewed, because the password is at hand only now.

        Args:
            raw_username: as typed.
            raw_password: as typed.
            client: where the request comes from.
            marks: what the device has from earlier sign-ins.

        Raises:
            InvalidCredentials: no account has that name, the password is wrong, or the account is
                disabled.
            TooManyRequests: so many passwords were wrong that this one is not checked.
            DatabaseUnavailable: Postgres does not answer.
            SessionStoreUnavailable: Redis does not answer.
            TooManyHashes: too many passwords are waiting to be hashed.
        """
        if not marks:
            self._throttle.check([buckets.by_network(Limited.LOGIN, client.address)])
        name, found = self._find(raw_username, marks)
        device = found.known_device if found else None
        if device:
            charge = self._throttle.charge(buckets.login_on_known_device(name, device))
        else:
            charge = self._throttle.charge(buckets.login(name, client.address))
        with charge:
            is_right = self._hasher.verify(raw_password, found.password_hash if found else None)
        if found is None:
            self._audit.record(refusal(Reason.NO_SUCH_ACCOUNT, client, None))
            raise InvalidCredentials
        if not is_right:
            self._audit.record(refusal(Reason.WRONG_PASSWORD, client, found.account.id))
            raise InvalidCredentials
        charge.refund(buckets.failures(name, found.account.id, [device] if device else []))
        if self._hasher.is_outdated(found.password_hash):
            self._renew(found, raw_password)
        return Proof(found.account, passwords.METHOD)

    def confirm(self, user: SignedIn, raw_password: str, client: Client) -> Credentials:
        """Check the password of a user who is signed in already.

        Returns:
            The account and its password hash, as they were at the check.

        Raises:
            WrongPassword: that is not the account's password.
            TooManyRequests: so many passwords were wrong that this one is not checked.
            NotSignedIn: the account has just been deleted or disabled.
            DatabaseUnavailable: Postgres does not answer.
            SessionStoreUnavailable: Redis does not answer.
            TooManyHashes: too many passwords are waiting to be hashed.
        """
        found = self._accounts.credentials_of(user.owner.account_id)
        if found is None:
            raise NotSignedIn
        charge = self._throttle.charge(buckets.confirmation(found.account.id, client.address))
        with charge:
            is_right = self._hasher.verify(raw_password, found.password_hash)
        if not is_right:
            self._audit.record(
                Entry(Event.PASSWORD_REFUSED, found.account.id, client, user.record.id.digest)
            )
            raise WrongPassword
        name = usernames.parse(found.account.username).canonical
        charge.refund(buckets.failures(name, found.account.id))
        return found

    def _renew(self, outdated: Credentials, raw_password: str) -> None:
        """Hash again with the current parameters. If that is impossible now, the next login does
        it."""
        try:
            renewed = self._hasher.hash(passwords.prepare(raw_password))
            self._accounts.replace_hash(outdated.account.id, outdated.password_hash, renewed)
        except Unavailable as error:
            log.warning("rehash_postponed", reason=error.code)

    def _find(self, raw_username: str, marks: Collection[Mark]) -> tuple[str, Credentials | None]:
        """The name to which attempts are charged, and the account if there is one."""
        try:
            username = usernames.parse(raw_username)
        except InvalidInput:
            return raw_username, None
        return username.canonical, self._accounts.credentials(username, marks)
