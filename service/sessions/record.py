"""The parts of a session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import msgspec

from service.sessions.ids import SessionId

MAX_ADDRESS, MAX_USER_AGENT = 64, 256  # characters that are stored
VERSION = 1  # of the format; sessions from before it had a number have 0
LATEST = 10**11  # seconds; no date is later than this, about the year 5138


class Owner(msgspec.Struct, frozen=True, array_like=True):
    """The account that a session belongs to, as it was at sign-in."""

    account_id: int
    username: str
    created_at: Annotated[float, msgspec.Meta(ge=0, lt=LATEST)]  # Unix seconds


class Metadata(msgspec.Struct, frozen=True, array_like=True):
    """Changes only if the user authenticates again. New fields go last and have defaults, so that
    older sessions stay readable."""

    owner: Owner | None
    remember: bool
    address: str
    user_agent: str
    methods: tuple[str, ...] = ()  # by which the user authenticated in this session
    version: int = 0  # of the format in which the session was created

    def after(self, methods: tuple[str, ...]) -> Metadata:
        """The metadata after the user has also authenticated by `methods`."""
        known = dict.fromkeys((*self.methods, *methods))
        return msgspec.structs.replace(self, methods=tuple(known))


encode_metadata = msgspec.msgpack.Encoder().encode
decode_metadata = msgspec.msgpack.Decoder(Metadata).decode


class Client(NamedTuple):
    """Where a request comes from: what sessions and the audit trail remember of it."""

    address: str
    user_agent: str


NOWHERE = Client("", "")  # of an anonymous session, or of a command


@dataclass(frozen=True, kw_only=True)
class NewSession:
    """A session before it is stored. Without an owner it is anonymous, and needs no client, because
    no list of devices shows it.
    """

    owner: Owner | None = None
    locator: str | None = None  # of the account; None: a new one
    epoch: int | None = None  # of the account, read together with the credentials that were checked
    methods: tuple[str, ...] = ()
    remember: bool = False  # whether it outlives the browser
    idle: float | None = None  # limit in seconds, if it is shorter than the usual one
    client: Client = NOWHERE

    @property
    def metadata(self) -> Metadata:
        """The metadata to store."""
        return Metadata(
            self.owner,
            self.remember,
            self.client.address[:MAX_ADDRESS],
            self.client.user_agent[:MAX_USER_AGENT],
            self.methods,
            VERSION,
        )


@dataclass(frozen=True)
class Device:
    """A session in its owner's list. Times are Unix milliseconds on Redis' clock."""

    handle: str  # the digest of the id, which does not reveal the id
    metadata: Metadata
    created: int
    seen: int
    expires: int


class Record(msgspec.Struct, frozen=True):
    """A session as read from Redis. Times are Unix milliseconds on Redis' clock, so that no limit
    depends on the clock of a worker. `fields` are the keys of `flask.session` and their encoded
    values, `api_data` those of the API's session data."""

    id: SessionId
    metadata: Metadata
    created: int
    authenticated_at: int  # the last time; `created` if the session is anonymous
    seen: int
    deadline: int
    expires: int
    idle: int  # limit, milliseconds
    fields: Mapping[str, bytes]
    api_data: Mapping[str, bytes]

    @property
    def device(self) -> Device:
        """The part that the owner's other sessions may see."""
        return Device(self.id.digest, self.metadata, self.created, self.seen, self.expires)

    def has_handle(self, handle: str) -> bool:
        """Whether this session has that handle."""
        return handle == self.id.digest


class SignedIn(NamedTuple):
    """An account that is signed in, and the session that it uses."""

    owner: Owner
    record: Record
