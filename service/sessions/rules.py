"""What a stored session means, and when its use has to be noted. No I/O: the store, in threads, and
the reader, on the event loop, both follow these rules."""

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
    """How long a session lives, in seconds: without a request, and in any case."""

    idle: float
    lifetime: float

    @property
    def touch_interval(self) -> float:
        """How often use is noted, in seconds: at least twice within the idle limit."""
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
            limits: of a session that ends with the browser.
            remembered_limits: of one with “remember me”.
        """
        self._limits = {False: limits, True: remembered_limits}
        self._clock_offset = 0.0  # seconds that Redis' clock is ahead of this process'

    def limits(self, metadata: Metadata) -> Limits:
        """Those of a session with this metadata."""
        return self._limits[metadata.remember]

    def record(self, session_id: SessionId, stored: Mapping[bytes, bytes]) -> Record | None:
        """The session that HGETALL found; None if it is not there, or was cut off by a crash."""
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
            fields={
                name[1:].decode(): value for name, value in stored.items() if name[:1] == keys.DATA
            },
        )

    def expiry(self, metadata: Metadata, seen: int, deadline: int) -> int:
        """When a session ends that was last used at `seen`. All are Unix ms."""
        return min(seen + milliseconds(self.limits(metadata).idle), deadline)

    def touch_is_due(self, record: Record) -> bool:
        """Whether the use of a session should be noted now.

        This process' clock guesses, corrected to Redis'; touch.lua has the last word. A session
        seen in the future shows that the correction is off: a touch mends that too.
        """
        age = time.time() + self._clock_offset - record.seen / 1000
        return not -1.0 < age < self.limits(record.metadata).touch_interval

    def touch(self, record: Record) -> Touch:
        """How touch.lua is called for a session."""
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
        """Correct this process' clock: Redis' says that it is `now`, Unix ms."""
        self._clock_offset = now / 1000 - time.time()


def milliseconds(seconds: float) -> int:
    """Seconds as Redis wants them."""
    return round(seconds * 1000)
