"""What a session is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from service.sessions.ids import SessionId

MAX_ADDRESS, MAX_USER_AGENT = 64, 256  # characters that are kept


class Owner(msgspec.Struct, frozen=True, array_like=True):
    """The account that a session belongs to, as it was at sign-in."""

    account_id: int
    username: str
    created_at: float  # Unix seconds


class Metadata(msgspec.Struct, frozen=True, array_like=True):
    """What changes only if the user authenticates again. New fields go last and have defaults:
    sessions that were stored without them stay readable."""

    owner: Owner | None
    remember: bool
    address: str
    user_agent: str
    methods: tuple[str, ...] = ()  # by which the user has authenticated in this session

    def after(self, methods: tuple[str, ...]) -> Metadata:
        """The same once the user has authenticated by `methods` too."""
        known = dict.fromkeys((*self.methods, *methods))
        return msgspec.structs.replace(self, methods=tuple(known))


encode_metadata = msgspec.msgpack.Encoder().encode
decode_metadata = msgspec.msgpack.Decoder(Metadata).decode


@dataclass(frozen=True, kw_only=True)
class NewSession:
    """What a session starts with.

    Without an owner it is anonymous. Then neither address nor browser is kept: nobody will be shown
    them.
    """

    owner: Owner | None = None
    locator: str | None = None  # the account's; None: one of its own
    epoch: int | None = None  # the account's, read together with what the user was checked against
    methods: tuple[str, ...] = ()
    remember: bool = False  # whether it outlives the browser
    address: str = ""
    user_agent: str = ""

    @property
    def metadata(self) -> Metadata:
        """What is stored of it."""
        return Metadata(
            self.owner,
            self.remember,
            self.address[:MAX_ADDRESS],
            self.user_agent[:MAX_USER_AGENT],
            self.methods,
        )


@dataclass(frozen=True)
class Device:
    """A session as its owner sees it among others. Times are Unix milliseconds, Redis' clock."""

    handle: str  # the digest of the id, which says nothing of the id
    metadata: Metadata
    created: int
    seen: int
    expires: int


class Record(msgspec.Struct, frozen=True):
    """A session as read from Redis. Times are Unix milliseconds on Redis' clock, so that no limit
    depends on the clock of a worker; `fields` are the session's keys with their values still
    encoded."""

    id: SessionId
    metadata: Metadata
    created: int
    authenticated_at: int  # when the user last did; of an anonymous session, when it was created
    seen: int
    deadline: int
    expires: int
    fields: Mapping[str, bytes]

    @property
    def device(self) -> Device:
        """The same without what only the session itself may know."""
        return Device(self.id.digest, self.metadata, self.created, self.seen, self.expires)

    def has_handle(self, handle: str) -> bool:
        """Whether this is the session that goes by that handle."""
        return handle == self.id.digest


class SignedIn(NamedTuple):
    """An account that is signed in, and the session that it uses."""

    owner: Owner
    record: Record
