"""Username and password as the first factor."""

from __future__ import annotations

import structlog

from service.accounts import usernames
from service.accounts.account import Account
from service.accounts.repository import AccountRepository
from service.credentials import passwords
from service.credentials.hashing import PasswordHasher
from service.errors import InvalidCredentials, InvalidInput, Unavailable
from service.signin.flow import Proof, Reason, note_refusal

log = structlog.get_logger()


class PasswordFactor:
    """Checks credentials. Every rejection says the same and takes the same time, so that an
    attacker cannot learn which names exist (OWASP Authentication Cheat Sheet)."""

    def __init__(self, accounts: AccountRepository, hasher: PasswordHasher) -> None:
        self._accounts = accounts
        self._hasher = hasher

    def prove(self, raw_username: str, raw_password: str) -> Proof:
        """Proof that the client owns the account with this name.

        If the hash was made with outdated parameters, it is renewed: only now is the password
        available.

        Raises:
            InvalidCredentials: no account has that name, the password is wrong, or the account is
                disabled.
            DatabaseUnavailable: Postgres does not answer.
            TooManyHashes: too many passwords are waiting to be hashed.
        """
        found, password = self._find(raw_username), _prepared(raw_password)
        if found is None or password is None:
            self._hasher.verify_nothing()
        elif self._hasher.verify(password, found[1]):
            self._renew(*found, password)
            return Proof(found[0], passwords.METHOD)
        if found:
            note_refusal(Reason.WRONG_PASSWORD, found[0].id)
        else:
            note_refusal(Reason.NO_SUCH_ACCOUNT)
        raise InvalidCredentials

    def _renew(self, account: Account, encoded: str, password: str) -> None:
        """Hash again with the current parameters. If that is impossible now, the next login does
        it."""
        if self._hasher.is_outdated(encoded):
            try:
                self._accounts.replace_hash(account.id, encoded, self._hasher.hash(password))
            except Unavailable as error:
                log.warning("rehash_postponed", reason=error.code)

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
