"""Ends sessions across both stores: password change, disabling, deletion, signing out everywhere.

The order leaves no gap. Postgres comes first: it raises the session epoch, so that a sign-in that
reads the account from now on reads the new epoch. Redis follows: one script stores the new epoch,
rejects sign-ins that read an older one, and ends the sessions. The revocation is acknowledged only
then. Each operation is safe to repeat after a failure halfway.
"""

from __future__ import annotations

from service.accounts import usernames
from service.accounts.account import Account
from service.accounts.repository import AccountRepository
from service.credentials import hashing, passwords
from service.credentials.hashing import PasswordHasher
from service.errors import NoSuchAccount, NotSignedIn, WrongPassword
from service.sessions.record import Record
from service.sessions.store import SessionStore


class Revocation:
    """Ends the sessions of accounts.

    Every method raises DatabaseUnavailable or SessionStoreUnavailable if a store does not answer.
    The revocation may then be half done; repeat it.
    """

    def __init__(
        self, accounts: AccountRepository, sessions: SessionStore, hasher: PasswordHasher
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._hasher = hasher

    def sign_out(self, record: Record, everywhere: bool) -> int:
        """End the other sessions of the account that `record` belongs to; with `everywhere`, this
        one too. Returns how many ended."""
        account = self._accounts.raise_epoch(_account_id(record))
        return self._end(account, None if everywhere else record)

    def change_password(self, record: Record, raw_current: str, raw_new: str) -> Record:
        """Change the password; every other session ends, and this one gets a new id.

        Returns:
            The session under its new id.

        Raises:
            InvalidInput: the new password is unacceptable.
            WrongPassword: `raw_current` is wrong, or the password changed at the same time.
            NotSignedIn: the session has ended meanwhile.
            TooManyHashes: too many passwords are waiting to be hashed.
        """
        new = passwords.check_new(raw_new)
        account, encoded = self._credentials(record)
        if hashing.matches(self._hasher, raw_current, encoded):
            changed = self._accounts.change_password(account.id, encoded, self._hasher.hash(new))
        elif self._hasher.verify(new, encoded):  # a retry, after a failure halfway
            changed = self._accounts.raise_epoch(account.id)
        else:
            changed = None
        if changed is None:
            raise WrongPassword
        self._end(changed, record)
        rotated = self._sessions.rotate(record)
        if rotated is None:
            raise NotSignedIn
        return rotated

    def delete_own(self, record: Record, raw_password: str) -> None:
        """Delete the account that `record` belongs to.

        Raises:
            WrongPassword: that is not the account's password.
            NotSignedIn: the account has been deleted or disabled meanwhile.
            TooManyHashes: too many passwords are waiting to be hashed.
        """
        account, encoded = self._credentials(record)
        if not hashing.matches(self._hasher, raw_password, encoded):
            raise WrongPassword
        self.delete(account.username)

    def delete(self, raw_username: str) -> int:
        """Delete an account. Its name stays taken for the quarantine. Returns how many sessions
        ended.

        Raises:
            NoSuchAccount: no account has that name.
            InvalidInput: no account can have that name.
        """
        return self._end(self._accounts.retire(usernames.parse(raw_username)))

    def disable(self, raw_username: str) -> int:
        """Block sign-ins to the account until it is enabled. Returns how many sessions ended.

        Raises:
            NoSuchAccount: no account has that name.
            InvalidInput: no account can have that name.
        """
        return self._end(self._accounts.disable(usernames.parse(raw_username)))

    def revoke(self, raw_username: str) -> int:
        """End every session of an account. Returns how many ended.

        Raises:
            NoSuchAccount: no account has that name.
            InvalidInput: no account can have that name.
        """
        found = self._accounts.find(usernames.parse(raw_username))
        return self._end(self._accounts.raise_epoch(found[0].id) if found else None)

    def _end(self, account: Account | None, keep: Record | None = None) -> int:
        if account is None:
            raise NoSuchAccount
        return self._sessions.revoke_all(
            account.locator, account.session_epoch, keep.id if keep else None
        )

    def _credentials(self, record: Record) -> tuple[Account, str]:
        account_id = _account_id(record)
        found = self._accounts.credentials_of(account_id)
        if found is None:
            # Its deletion or disabling may have failed halfway and left sessions behind.
            self._end(self._accounts.raise_epoch(account_id))
            raise NotSignedIn
        return found


def _account_id(record: Record) -> int:
    if record.metadata.owner is None:
        raise NotSignedIn
    return record.metadata.owner.account_id
