"""Login: who somebody is, by username and password."""

from __future__ import annotations

import structlog

from service.accounts import usernames
from service.accounts.account import Account
from service.accounts.repository import AccountRepository
from service.credentials import passwords
from service.credentials.hashing import PasswordHasher
from service.errors import InvalidCredentials, InvalidInput, Unavailable

log = structlog.get_logger()


class Login:
    """Checks credentials. Every refusal says the same and takes as long (OWASP Authentication
    Cheat Sheet: an attacker must not learn which names exist)."""

    def __init__(self, accounts: AccountRepository, hasher: PasswordHasher) -> None:
        self._accounts = accounts
        self._hasher = hasher

    def authenticate(self, raw_username: str, raw_password: str) -> Account:
        """The account whose name and password these are.

        Its hash is renewed if the parameters have changed since it was made: this is the only
        moment at which the password is at hand.

        Raises:
            InvalidCredentials: no such name, another password, or the account is disabled.
            DatabaseUnavailable: Postgres does not answer.
            TooManyHashes: too many passwords are waiting to be hashed.
        """
        found, password = self._find(raw_username), _prepared(raw_password)
        if found is None or password is None:
            self._hasher.verify_nothing()
            raise InvalidCredentials
        account, encoded = found
        if not self._hasher.verify(password, encoded):
            raise InvalidCredentials
        self._renew(account, encoded, password)
        return account

    def _renew(self, account: Account, encoded: str, password: str) -> None:
        """Hash again with the parameters in force. What stands in the way now can wait for the
        next login."""
        if self._hasher.is_outdated(encoded):
            try:
                self._accounts.replace_hash(account.id, encoded, self._hasher.hash(password))
            except Unavailable as error:
                log.warning("rehash_postponed", reason=str(error))

    def _find(self, raw_username: str) -> tuple[Account, str] | None:
        try:
            return self._accounts.credentials(usernames.parse(raw_username))
        except InvalidInput:
            return None


def _prepared(raw_password: str) -> str | None:
    try:
        return passwords.prepare(raw_password)
    except InvalidInput:
        return None
