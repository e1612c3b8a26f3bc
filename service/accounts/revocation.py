"""Ends sessions: when somebody signs out, and when an account changes in both stores.

The order leaves no gap. Postgres comes first: it raises the session epoch, so that a sign-in that
reads the account from now on reads the new epoch, and records the revocation. Redis follows: one
script stores the new epoch, rejects sign-ins that read an older one, and ends the sessions. Only
then is the revocation acknowledged. If Redis fails, the outbox completes it.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any

from service.accounts import usernames
from service.accounts.account import Account, Credentials
from service.accounts.known_devices import Mark
from service.accounts.outbox import Outbox
from service.accounts.repository import AccountRepository
from service.audit.entry import Entry, Event, emit
from service.audit.trail import AuditTrail
from service.credentials import passwords
from service.credentials.hashing import PasswordHasher
from service.credentials.passwords import PreparedPassword
from service.errors import (
    NoSuchAccount,
    NoSuchSession,
    NotSignedIn,
    SessionStoreUnavailable,
    WrongPassword,
)
from service.sessions.ids import SessionId
from service.sessions.record import Client, Record, SignedIn
from service.sessions.session import Session
from service.sessions.store import SessionStore


class Revocation:
    """Ends sessions, and makes the changes to accounts that end all of them.

    Every method takes the client that asks for it, and raises DatabaseUnavailable if Postgres does
    not answer. If Redis does not, `sign_out` and `revoke_one` raise SessionStoreUnavailable, and
    the others RevocationPending: then the change is made. Methods that take a username raise
    NoSuchAccount if no account has it, and InvalidInput if no account can have it.
    """

    def __init__(
        self,
        accounts: AccountRepository,
        outbox: Outbox,
        sessions: SessionStore,
        hasher: PasswordHasher,
        audit: AuditTrail,
    ) -> None:
        self._accounts = accounts
        self._outbox = outbox
        self._sessions = sessions
        self._hasher = hasher
        self._audit = audit

    def sign_out(self, record: Record, client: Client) -> None:
        """End a session, which may be anonymous."""
        ended = self._sessions.revoke(record.id.locator, record.id.digest)
        if ended and (owner := record.metadata.owner):
            self._audit.record(
                Entry(Event.SIGNED_OUT, owner.account_id, client, session=record.id.digest)
            )

    def revoke_one(self, user: SignedIn, handle: str, client: Client) -> None:
        """End one of the user's sessions.

        Raises:
            NoSuchSession: the user has no session with that handle.
        """
        if not self._sessions.revoke(user.record.id.locator, handle):
            raise NoSuchSession
        self._audit.record(
            Entry(Event.SESSION_REVOKED, user.owner.account_id, client, session=handle)
        )

    def revoke_all(self, user: SignedIn, client: Client, marks: Collection[Mark] = ()) -> int:
        """End all sessions of the user. Returns their number.

        Args:
            marks: those of the device that asks, which stays a known one if it was.

        Raises:
            NotSignedIn: the account no longer exists.
        """
        entry = Entry(Event.ALL_REVOKED, client=client, session=user.record.id.digest)
        account = self._accounts.revoke_sessions(user.owner.account_id, entry, marks=marks)
        if account is None:
            raise NotSignedIn
        return self._end(entry, account)

    def revoke_others(
        self, session: Session, user: SignedIn, client: Client, marks: Collection[Mark] = ()
    ) -> int:
        """End the user's other sessions, and give this one a new id: somebody else may have a copy
        of the old one. Returns their number.

        Args:
            session: that of the request, in which `user` is signed in.
            marks: as for `revoke_all`.

        Raises:
            NotSignedIn: the session has just ended, or the account no longer exists.
        """
        new = SessionId.new(user.record.id.locator)
        entry = Entry(Event.OTHERS_REVOKED, client=client, session=user.record.id.digest)
        account = self._accounts.revoke_sessions(user.owner.account_id, entry, new.digest, marks)
        if account is None:
            raise NotSignedIn
        renewed = self._renew(session, user.record, new=new)
        ended = self._end(entry, account, new.digest)
        if not renewed:
            raise NotSignedIn
        return ended

    def change_password(
        self, session: Session, confirmed: Credentials, new: PreparedPassword, client: Client
    ) -> Account:
        """Change the password; every other session ends, and this one gets a new id.

        Args:
            session: that of the request, in which the user is signed in.
            confirmed: from `PasswordFactor.confirm`.
            new: from `PasswordPolicy.check`.

        Returns:
            The account after the change.

        Raises:
            WrongPassword: the password changed at the same time.
            NotSignedIn: the session has just ended.
            TooManyHashes: too many passwords are waiting to be hashed.
        """
        record = session.record
        if record is None:
            raise NotSignedIn
        entry = Entry(Event.PASSWORD_CHANGED, client=client, session=record.id.digest)
        changed = self._accounts.change_password(
            confirmed.account.id, confirmed.password_hash, self._hasher.hash(new), entry
        )
        if changed is None:
            raise WrongPassword
        renewed = self._renew(session, record, (passwords.METHOD,), changed.session_epoch)
        self._end(entry, changed)
        if not renewed:
            raise NotSignedIn
        return changed

    def delete(self, user: SignedIn, client: Client) -> None:
        """Delete the user's account; its name stays taken for the quarantine.

        Raises:
            NotSignedIn: the account no longer exists.
        """
        entry = Entry(Event.DELETED, client=client, session=user.record.id.digest)
        account = self._accounts.retire(user.owner.account_id, entry)
        if account is None:
            raise NotSignedIn
        self._end(entry, account)

    def delete_by_name(self, raw_username: str, client: Client) -> int:
        """Delete an account, as `delete` does. Returns the number of sessions that ended."""
        entry = Entry(Event.DELETED, client=client)
        return self._end(entry, self._accounts.retire_by_name(usernames.parse(raw_username), entry))

    def disable(self, raw_username: str, client: Client) -> int:
        """Block sign-ins to an account until it is enabled. Returns the number of sessions that
        ended."""
        entry = Entry(Event.DISABLED, client=client)
        return self._end(entry, self._accounts.disable(usernames.parse(raw_username), entry))

    def enable(self, raw_username: str, client: Client) -> None:
        """Undo `disable`."""
        entry = Entry(Event.ENABLED, client=client)
        account = self._accounts.enable(usernames.parse(raw_username), entry)
        if account is None:
            raise NoSuchAccount
        emit(entry.of(account.id))

    def revoke(self, raw_username: str, client: Client) -> int:
        """End every session of an account. Returns their number."""
        found = self._accounts.find(usernames.parse(raw_username))
        entry = Entry(Event.ALL_REVOKED, client=client)
        return self._end(
            entry, self._accounts.revoke_sessions(found[0].id, entry) if found else None
        )

    def _renew(self, session: Session, record: Record, *arguments: Any, **more: Any) -> bool:
        """Give the session of the request a new id, before others end: whatever fails after that
        ends the old one, too. Returns whether it has one; if Redis fails, `_end` says so."""
        renewed = None
        with suppress(SessionStoreUnavailable):
            renewed = self._sessions.rotate(record, *arguments, **more)
        if renewed:
            session.replace_record(renewed)
        return renewed is not None

    def _end(self, entry: Entry, changed: Account | None, keep: str | None = None) -> int:
        """Have Redis end what the change of an account revokes. Returns the number of sessions.

        The entry is in the trail: Postgres has written it with the change."""
        if changed is None:
            raise NoSuchAccount
        emit(entry.of(changed.id))
        return self._outbox.deliver(changed, keep)
