"""Interprets a stored session, and decides when to note its use. The store, in threads, and the
reader, on the event loop, both follow these rules, so they do no I/O."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from service.sessions import keys
from service.sessions.ids import SessionId
from service.sessions.record import Metadata, Record, decode_metadata

TOUCH_INTERVAL = 60.0  # seconds


@dataclass(frozen=True)
class Limits:
    """How long a session lives, in seconds: without a request, and at most."""

    idle: float
    lifetime: float

    @property
    def touch_interval(self) -> float:
        """Seconds between two notes of use, at most half of the idle limit."""
        return min(TOUCH_INTERVAL, self.idle / 2)


@dataclass(frozen=True)
class Touch:
    """The arguments of touch.lua."""

    keys: list[str]
    arguments: list[str | int]


class SessionRules:
    """The rules of one deployment."""

    def __init__(self, limits: Limits, remembered_limits: Limits) -> None:
        """
        Args:
            limits: for a session that ends with the browser.
            remembered_limits: for one with “remember me”.
        """
        self._limits = {False: limits, True: remembered_limits}
        self._clock_offset = 0.0  # seconds that Redis' clock is ahead of ours

    def limits(self, metadata: Metadata) -> Limits:
        """The limits of a session with this metadata."""
        return self._limits[metadata.remember]

    def record(self, session_id: SessionId, stored: Mapping[bytes, bytes]) -> Record | None:
        """The session in a reply to HGETALL; None if it is missing, or incomplete after a crash."""
        if keys.METADATA not in stored:
            return None
        metadata = decode_metadata(stored[keys.METADATA])
        created, seen = int(stored[keys.CREATED]), int(stored[keys.SEEN])
        deadline, authenticated = int(stored[keys.DEADLINE]), stored.get(keys.AUTHENTICATED)
        return Record(
            id=session_id,
            metadata=metadata,
            created=created,
            authenticated_at=int(authenticated) if authenticated else created,
            seen=seen,
            deadline=deadline,
            expires=self.expiry(metadata, seen, deadline),
            fields=_after(keys.FLASK, stored),
            api_data=_after(keys.DATA, stored),
        )

    def expiry(self, metadata: Metadata, seen: int, deadline: int) -> int:
        """When a session ends if it was last used at `seen`; all times are Unix ms."""
        return min(seen + milliseconds(self.limits(metadata).idle), deadline)

    def touch_is_due(self, record: Record) -> bool:
        """Whether it seems time to note the use of a session; touch.lua makes sure.

        The guess uses our clock and its known distance from Redis' clock. If a session was seen in
        the future, that distance is wrong, and a touch corrects it too.
        """
        age = time.time() + self._clock_offset - record.seen / 1000
        return not -1.0 < age < self.limits(record.metadata).touch_interval

    def age_of_proof(self, record: Record) -> float:
        """Seconds since the user of a session has authenticated, by Redis' clock. `touch_is_due`
        keeps our idea of that clock right to the minute."""
        return time.time() + self._clock_offset - record.authenticated_at / 1000

    def touch(self, record: Record) -> Touch:
        """The call of touch.lua for a session."""
        limits = self.limits(record.metadata)
        locator, digest = record.id.locator, record.id.digest
        return Touch(
            [keys.session_key(locator, digest), keys.index_key(locator)],
            [digest, milliseconds(limits.idle), milliseconds(limits.touch_interval)],
        )

    def touched(self, record: Record, now: int) -> Record | None:
        """The session after touch.lua returned `now`, Unix ms; None if it is gone."""
        if now == 0:
            return None
        self.learn_clock(now)
        expires = self.expiry(record.metadata, now, record.deadline)
        return msgspec.structs.replace(record, seen=now, expires=expires)

    def learn_clock(self, now: int) -> None:
        """Note that it is `now` on Redis' clock, Unix ms."""
        self._clock_offset = now / 1000 - time.time()


def _after(prefix: bytes, stored: Mapping[bytes, bytes]) -> dict[str, bytes]:
    return {name[1:].decode(): value for name, value in stored.items() if name[:1] == prefix}


def milliseconds(seconds: float) -> int:
    """Seconds as whole milliseconds, as Redis expects them."""
    return round(seconds * 1000)
