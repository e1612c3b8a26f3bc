"""What a session is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from service.sessions.ids import SessionId


class Owner(msgspec.Struct, frozen=True, array_like=True):
    """The account that a session belongs to, as it was at sign-in."""

    account_id: int
    username: str
    created_at: float  # Unix seconds


class Metadata(msgspec.Struct, frozen=True, array_like=True):
    """What does not change while a session lives."""

    owner: Owner | None
    remember: bool
    address: str
    user_agent: str


@dataclass(frozen=True)
class Device:
    """A session as its owner sees it among others. Times are Unix milliseconds, Redis' clock."""

    handle: str  # the digest of the id, which says nothing of the id
    metadata: Metadata
    created: int
    seen: int
    expires: int


class Record(msgspec.Struct, frozen=True):
    """A session as read from Redis. Times are Unix milliseconds on Redis' clock; `fields` are
    the session's keys with their values still encoded."""

    id: SessionId
    metadata: Metadata
    created: int
    seen: int
    deadline: int
    expires: int
    fields: Mapping[str, bytes]

    @property
    def device(self) -> Device:
        """The same without what only the session itself may know."""
        return Device(self.id.digest, self.metadata, self.created, self.seen, self.expires)
