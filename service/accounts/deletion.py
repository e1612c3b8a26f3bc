"""Deletion: the account ends at once, its name after a quarantine."""

from __future__ import annotations

from service.accounts import usernames
from service.accounts.repository import AccountRepository
from service.errors import NoSuchAccount
from service.sessions.store import SessionStore


class Deletion:
    """Deletes accounts and gives their names back."""

    def __init__(self, accounts: AccountRepository, sessions: SessionStore) -> None:
        self._accounts = accounts
        self._sessions = sessions

    def delete(self, raw_username: str) -> int:
        """End an account and every session of it. Its name stays taken for the quarantine.

        Safe to repeat: if it fails between the two stores, the next time ends the sessions.

        Returns:
            How many sessions were ended.

        Raises:
            NoSuchAccount: there is none of that name.
            InvalidInput: nobody can have that name.
            DatabaseUnavailable: Postgres does not answer; nothing may have happened.
            SessionStoreUnavailable: the account is gone, its sessions are not.
        """
        retired = self._accounts.retire(usernames.parse(raw_username))
        if retired is None:
            raise NoSuchAccount
        return self._sessions.revoke_all(retired.locator, retired.session_epoch)

    def release_names(self) -> int:
        """Give back the names whose quarantine is over; returns how many."""
        return self._accounts.release_retired()
