"""What is recorded about a request with a session. A handle is the SHA-256 of a session's id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kits.races.history import Operation


@dataclass(frozen=True, kw_only=True)
class SessionOperation(Operation):
    """A request with a session: register, login, read, list, data, write, logout, revoke, others,
    all, change, close."""

    # Sent.
    session: str | None = None  # a handle
    password: str | None = None
    new_password: str | None = None  # in a change
    target: str | None = None  # the handle to revoke
    key: str | None = None  # to write, and also its value
    # Received.
    issued: str | None = None  # the handle of the new id
    cleared: bool = False  # the response deletes the cookie
    retry_after: bool = False
    owner: str | None = None  # the username of the account
    handle: str | None = None  # of the session
    handles: tuple[str, ...] | None = None  # of the devices
    data: Mapping[str, Any] | None = None  # of the session
