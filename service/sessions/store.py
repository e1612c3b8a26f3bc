"""Where sessions live: Redis. No other module builds a key or knows a field."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import msgspec
from redis import Redis

from service.errors import SessionRevoked, SessionStoreUnavailable
from service.sessions.ids import SessionId, new_locator
from service.storage.redis import failing_as

SCRIPTS = Path(__file__).parent / "lua"
TOUCH_INTERVAL = 60.0  # seconds
EPOCH_MEMORY = 86400.0  # seconds: longer than any sign-in takes
DATA = ":"  # before the name of each session key, so that none collides with a field of ours
METADATA = "."


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
class Limits:
    """How long a session lives, in seconds: without a request, and in any case."""

    idle: float
    lifetime: float

    @property
    def touch_interval(self) -> float:
        """How often use is noted, in seconds: at least twice within the idle limit."""
        return min(TOUCH_INTERVAL, self.idle / 2)


@dataclass(frozen=True)
class Record:
    """A session as read from Redis. Times are Unix milliseconds on Redis' clock; `fields` are
    the session's keys with their values still encoded."""

    id: SessionId
    metadata: Metadata
    created: int
    seen: int
    deadline: int
    expires: int
    fields: Mapping[str, bytes]


class SessionStore:
    """Creates, reads, changes and ends sessions; each in one atomic step.

    The keys, where LOCATOR is the first 12 characters of the id and DIGEST its SHA-256:

    - `coatcheck:{LOCATOR}:session:DIGEST`, a hash: `.` the metadata (msgpack), `created`, `seen`
      and `deadline` (Unix ms), and `:NAME` for each key of the session (msgpack). It expires at
      the earlier of `seen` + idle limit and `deadline`.
    - `coatcheck:{LOCATOR}:sessions`, a sorted set: the digests of an account's sessions, scored
      by their expiry. It expires with the last of them.
    - `coatcheck:{LOCATOR}:epoch`, a string: the least session epoch that a sign-in must have read
      from Postgres.

    The commands: read HGETALL; everything else one EVALSHA (lua/*.lua). A
    session's three keys lie in one slot of a Redis Cluster.

    Every method raises SessionStoreUnavailable, within a second, if Redis does not answer.
    """

    def __init__(
        self, redis: Redis, limits: Limits, remembered_limits: Limits, sessions_per_account: int
    ) -> None:
        self._redis = redis
        self._limits = {False: limits, True: remembered_limits}
        self._sessions_per_account = sessions_per_account
        self._create, self._save, self._touch, self._revoke, self._revoke_all = (
            redis.register_script((SCRIPTS / f"{name}.lua").read_text(encoding="utf-8"))
            for name in ("create", "save", "touch", "revoke", "revoke_all")
        )
        self._decode_metadata = msgspec.msgpack.Decoder(Metadata).decode
        self._encode_metadata = msgspec.msgpack.Encoder().encode
        self._clock_offset = 0.0

    def create(
        self,
        metadata: Metadata,
        fields: Mapping[str, bytes],
        locator: str | None = None,
        epoch: int | None = None,
    ) -> Record:
        """Store a new session under a new id.

        Args:
            metadata: what it belongs to and where it was opened.
            fields: its keys, encoded.
            locator: the account's; None for an anonymous session.
            epoch: the account's session epoch, read together with the password hash.

        Raises:
            SessionRevoked: the account's sessions were revoked after `epoch` was read.
        """
        session_id = SessionId.new(locator or new_locator())
        limits = self._limits[metadata.remember]
        arguments = [
            session_id.digest,
            "" if epoch is None else epoch,
            _milliseconds(limits.idle),
            _milliseconds(limits.lifetime),
            self._sessions_per_account,
            _session_key(session_id.locator, ""),
            METADATA,
            self._encode_metadata(metadata),
        ]
        for name, value in fields.items():
            arguments += [DATA + name, value]
        with failing_as(SessionStoreUnavailable):
            now = self._create(keys=_keys(session_id), args=arguments)
        if now == 0:
            raise SessionRevoked
        self._learn_clock(now)
        return self._record(
            session_id, metadata, now, now, now + _milliseconds(limits.lifetime), fields
        )

    def read(self, session_id: SessionId) -> Record | None:
        """The session of that id, or None if there is none. Notes the use if it is due."""
        with failing_as(SessionStoreUnavailable):
            stored = cast(
                dict[bytes, bytes],
                self._redis.hgetall(_session_key(session_id.locator, session_id.digest)),
            )
        if not stored:
            return None
        record = self._record(
            session_id,
            self._decode_metadata(stored[b"."]),
            int(stored[b"created"]),
            int(stored[b"seen"]),
            int(stored[b"deadline"]),
            {name[1:].decode(): value for name, value in stored.items() if name[:1] == b":"},
        )
        return self.touch(record) if self._touch_is_due(record) else record

    def save(
        self, session_id: SessionId, changed: Mapping[str, bytes], removed: Collection[str]
    ) -> bool:
        """Write the changed keys and delete the removed ones.

        Returns:
            False if the session is gone; then nothing was written.
        """
        arguments: list[bytes | str | int] = [len(removed), *(DATA + name for name in removed)]
        for name, value in changed.items():
            arguments += [DATA + name, value]
        with failing_as(SessionStoreUnavailable):
            return bool(self._save(keys=_keys(session_id)[:1], args=arguments))

    def touch(self, record: Record) -> Record | None:
        """Note that the session is in use. Redis' clock decides whether it is due.

        Returns:
            The record as it stands now; None if the session is gone.
        """
        limits = self._limits[record.metadata.remember]
        with failing_as(SessionStoreUnavailable):
            now = self._touch(
                keys=_keys(record.id)[:2],
                args=[
                    record.id.digest,
                    _milliseconds(limits.idle),
                    _milliseconds(limits.touch_interval),
                ],
            )
        if now == 0:
            return None
        self._learn_clock(now)
        expires = self._expiry(record.metadata, now, record.deadline)
        return replace(record, seen=now, expires=expires)

    def revoke(self, session_id: SessionId) -> bool:
        """End the session. Returns whether there was one."""
        with failing_as(SessionStoreUnavailable):
            return bool(self._revoke(keys=_keys(session_id)[:2], args=[session_id.digest]))

    def revoke_all(self, locator: str, epoch: int, keep: SessionId | None = None) -> int:
        """End every session of an account, and every sign-in that read an older epoch.

        Args:
            locator: the account's.
            epoch: what its session epoch in Postgres was raised to, before this.
            keep: a session that goes on.

        Returns:
            How many sessions were ended.
        """
        account = _account_prefix(locator)
        with failing_as(SessionStoreUnavailable):
            ended: int = self._revoke_all(
                keys=[f"{account}:sessions", f"{account}:epoch"],
                args=[
                    epoch,
                    _milliseconds(EPOCH_MEMORY),
                    _session_key(locator, ""),
                    keep.digest if keep else "",
                ],
            )
        return ended

    def ping(self) -> None:
        """Ask for a sign of life."""
        with failing_as(SessionStoreUnavailable):
            self._redis.ping()

    def _record(
        self,
        session_id: SessionId,
        metadata: Metadata,
        created: int,
        seen: int,
        deadline: int,
        fields: Mapping[str, bytes],
    ) -> Record:
        expires = self._expiry(metadata, seen, deadline)
        return Record(session_id, metadata, created, seen, deadline, expires, fields)

    def _expiry(self, metadata: Metadata, seen: int, deadline: int) -> int:
        return min(seen + _milliseconds(self._limits[metadata.remember].idle), deadline)

    def _touch_is_due(self, record: Record) -> bool:
        """Guessed by this worker's clock, corrected to Redis'; touch.lua has the last word. A
        session seen in the future shows that the correction is off: a touch mends that too."""
        age = time.time() + self._clock_offset - record.seen / 1000
        return not -1.0 < age < self._limits[record.metadata.remember].touch_interval

    def _learn_clock(self, now: int) -> None:
        self._clock_offset = now / 1000 - time.time()


def _account_prefix(locator: str) -> str:
    return f"coatcheck:{{{locator}}}"


def _session_key(locator: str, digest: str) -> str:
    return f"{_account_prefix(locator)}:session:{digest}"


def _keys(session_id: SessionId) -> list[str]:
    account = _account_prefix(session_id.locator)
    return [
        _session_key(session_id.locator, session_id.digest),
        f"{account}:sessions",
        f"{account}:epoch",
    ]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
