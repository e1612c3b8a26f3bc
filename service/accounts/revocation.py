"""Ends sessions: when somebody signs out, and when an account changes in both stores.

The order leaves no gap. Postgres comes first: it raises the session epoch, so that a sign-in that
reads the account from now on reads the new epoch. Redis follows: one script stores the new epoch,
rejects sign-ins that read an older one, and ends the sessions. Only then is the revocation
acknowledged. Every operation is safe to repeat after a failure halfway.

A change of an account is an event once Postgres has committed it, a revocation once Redis has
carried it out.
"""

from __future__ import annotations

from service.accounts import usernames
from service.accounts.account import Account, Credentials
from service.accounts.repository import AccountRepository
from service.credentials import passwords
from service.credentials.hashing import PasswordHasher
from service.credentials.passwords import PreparedPassword
from service.errors import NoSuchAccount, NoSuchSession, NotSignedIn, WrongPassword
from service.events import Event, emit
from service.sessions.record import Record, SignedIn
from service.sessions.store import SessionStore


class Revocation:
    """Ends sessions, and makes the changes to accounts that end all of them.

    Every method raises DatabaseUnavailable or SessionStoreUnavailable if a store does not answer;
    the revocation may then be half done, and is safe to repeat. Methods that take a username raise
    NoSuchAccount if no account has it, and InvalidInput if no account can have it.
    """

    def __init__(
        self, accounts: AccountRepository, sessions: SessionStore, hasher: PasswordHasher
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._hasher = hasher

    def sign_out(self, record: Record) -> None:
        """End a session, which may be anonymous."""
        ended = self._sessions.revoke(record.id.locator, record.id.digest)
        if ended and record.metadata.owner:
            emit(Event.SIGNED_OUT, record.metadata.owner.account_id)

    def revoke_one(self, user: SignedIn, handle: str) -> None:
        """End one of the user's sessions.

        Raises:
            NoSuchSession: the user has no session with that handle.
        """
        if not self._sessions.revoke(user.record.id.locator, handle):
            raise NoSuchSession
        emit(Event.SESSION_REVOKED, user.owner.account_id)

    def revoke_several(self, user: SignedIn, everywhere: bool) -> int:
        """End the user's other sessions; with `everywhere`, this one too. Returns their number.

        Raises:
            NotSignedIn: the account no longer exists.
        """
        return self._revoke_own(user, None if everywhere else user.record)

    def change_password(
        self, user: SignedIn, confirmed: Credentials, new: PreparedPassword
    ) -> Record:
        """Change the password; every other session ends, and this one gets a new id.

        Args:
            confirmed: from `PasswordFactor.confirm`.
            new: from `passwords.check_new`.

        Returns:
            The session under its new id.

        Raises:
            WrongPassword: the password changed at the same time.
            NotSignedIn: the session has just ended.
            TooManyHashes: too many passwords are waiting to be hashed.
        """
        changed = self._accounts.change_password(
            confirmed.account.id, confirmed.password_hash, self._hasher.hash(new)
        )
        if changed is None:
            raise WrongPassword
        self._end(_emitted(Event.PASSWORD_CHANGED, changed), user.record)
        rotated = self._sessions.rotate(user.record, (passwords.METHOD,), changed.session_epoch)
        if rotated is None:
            raise NotSignedIn
        return rotated

    def delete(self, raw_username: str) -> int:
        """Delete an account; its name stays taken for the quarantine. Returns the number of
        sessions that ended."""
        retired = self._accounts.retire(usernames.parse(raw_username))
        return self._end(_emitted(Event.DELETED, retired))

    def disable(self, raw_username: str) -> int:
        """Block sign-ins to an account until it is enabled. Returns the number of sessions that
        ended."""
        disabled = self._accounts.disable(usernames.parse(raw_username))
        return self._end(_emitted(Event.DISABLED, disabled))

    def enable(self, raw_username: str) -> None:
        """Undo `disable`."""
        _emitted(Event.ENABLED, self._accounts.enable(usernames.parse(raw_username)))

    def revoke(self, raw_username: str) -> int:
        """End every session of an account. Returns their number."""
        found = self._accounts.find(usernames.parse(raw_username))
        account = self._accounts.raise_epoch(found[0].id) if found else None
        if account is None:
            raise NoSuchAccount
        return self._revoke(account)

    def _revoke_own(self, user: SignedIn, keep: Record | None = None) -> int:
        account = self._accounts.raise_epoch(user.owner.account_id)
        if account is None:
            raise NotSignedIn
        return self._revoke(account, keep)

    def _revoke(self, account: Account, keep: Record | None = None) -> int:
        """End sessions, and nothing else. Returns their number."""
        ended = self._end(account, keep)
        emit(Event.OTHERS_REVOKED if keep else Event.ALL_REVOKED, account.id, ended=ended)
        return ended

    def _end(self, account: Account, keep: Record | None = None) -> int:
        return self._sessions.revoke_all(
            account.locator, account.session_epoch, keep.id.digest if keep else None
        )


def _emitted(event: Event, account: Account | None) -> Account:
    """Emit the event that has happened to the account, and return the account."""
    if account is None:
        raise NoSuchAccount
    emit(event, account.id)
    return account
