"""Username and password as the first factor."""

from __future__ import annotations

import structlog

from service.accounts import usernames
from service.accounts.account import Account
from service.accounts.repository import AccountRepository
from service.credentials import passwords
from service.credentials.hashing import PasswordHasher
from service.errors import InvalidCredentials, InvalidInput, Unavailable
from service.events import Event, emit
from service.signin.flow import Proof, Reason

log = structlog.get_logger()


class PasswordFactor:
    """Checks credentials. Every rejection says the same and takes the same time, so that an
    attacker cannot learn which names exist (OWASP Authentication Cheat Sheet)."""

    def __init__(self, accounts: AccountRepository, hasher: PasswordHasher) -> None:
        self._accounts = accounts
        self._hasher = hasher

    def prove(self, raw_username: str, raw_password: str) -> Proof:
        """Proof that the client owns the account with this name.

        A hash with outdated parameters is renewed, because the password is at hand only now.

        Raises:
            InvalidCredentials: no account has that name, the password is wrong, or the account is
                disabled.
            DatabaseUnavailable: Postgres does not answer.
            TooManyHashes: too many passwords are waiting to be hashed.
        """
        account, encoded = self._find(raw_username) or (None, None)
        is_right = self._hasher.verify(raw_password, encoded)
        if account is None:
            emit(Event.SIGN_IN_REFUSED, None, reason=Reason.NO_SUCH_ACCOUNT)
            raise InvalidCredentials
        if not is_right or encoded is None:
            emit(Event.SIGN_IN_REFUSED, account.id, reason=Reason.WRONG_PASSWORD)
            raise InvalidCredentials
        if self._hasher.is_outdated(encoded):
            self._renew(account, encoded, raw_password)
        return Proof(account, passwords.METHOD)

    def _renew(self, account: Account, encoded: str, raw_password: str) -> None:
        """Hash again with the current parameters. If that is impossible now, the next login does
        it."""
        try:
            renewed = self._hasher.hash(passwords.prepare(raw_password))
            self._accounts.replace_hash(account.id, encoded, renewed)
        except Unavailable as error:
            log.warning("rehash_postponed", reason=error.code)

    def _find(self, raw_username: str) -> tuple[Account, str] | None:
        try:
            return self._accounts.credentials(usernames.parse(raw_username))
        except InvalidInput:
            return None
