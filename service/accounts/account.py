"""An account, as Postgres has it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from service.sessions.record import Owner


@dataclass(frozen=True)
class Account:
    """One row of `accounts`, less the password hash.

    `locator` and `session_epoch` are what a sign-in needs: see service.sessions.store.
    """

    id: int
    username: str
    locator: str
    session_epoch: int
    created_at: datetime

    @property
    def owner(self) -> Owner:
        """The account as its sessions remember it."""
        return Owner(self.id, self.username, self.created_at.timestamp())


@dataclass(frozen=True)
class Member:
    """What one member may see of another."""

    id: int
    username: str
    created_at: datetime
