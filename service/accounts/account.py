"""An account, as Postgres stores it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from service.sessions.record import Owner


@dataclass(frozen=True)
class Account:
    """One row of `accounts`, without the password hash.

    service.sessions.ids explains `locator`, service.accounts.revocation `session_epoch`.
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


class Credentials(NamedTuple):
    """An account, the hash of its password and, if its owner has signed in before on the device
    that asks, the digest of the mark that shows it, in hexadecimal."""

    account: Account
    password_hash: str
    known_device: str | None = None


@dataclass(frozen=True)
class Member:
    """What members may see of one another."""

    id: int
    username: str
    created_at: datetime
