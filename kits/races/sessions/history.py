"""What is recorded of a request about a session. Ids are known by their handles, their SHA-256."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kits.races.history import Exchange


@dataclass(frozen=True, kw_only=True)
class SessionOperation(Exchange):
    """A request about a session: register, login, read, list, data, write, logout, revoke, others,
    all, change, close."""

    session: str | None = None  # the handle of the id that was sent
    password: str | None = None  # that was sent
    new_password: str | None = None  # of a change
    target: str | None = None  # the handle that was to be revoked
    key: str | None = None  # that was to be written, and its value
    issued: str | None = None  # the handle of the id that came back
    cleared: bool = False  # the cookie was deleted
    retry_after: bool = False
    owner: str | None = None  # the name of the account in the answer
    handle: str | None = None  # of the session in the answer
    handles: tuple[str, ...] | None = None  # of the devices in the answer
    data: Mapping[str, Any] | None = None  # of the session, in the answer

    @property
    def took(self) -> float:
        """Seconds until the answer came."""
        return self.completed - self.invoked
