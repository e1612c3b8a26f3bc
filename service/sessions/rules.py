"""Interprets a stored session, and decides when to note its use. The store, in threads, and the
reader, on the event loop, both follow these rules, so they do no I/O."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
import structlog
from redis.exceptions import ResponseError

from service.sessions import keys
from service.sessions.ids import SessionId
from service.sessions.record import (
    LATEST,
    VERSION,
    Device,
    Metadata,
    Record,
    decode_metadata,
)
from service.storage.loop_script import ScriptCall

log = structlog.get_logger()

TOUCH_INTERVAL = 60_000  # milliseconds
UNREADABLE = (
    *(msgspec.MsgspecError, LookupError, TypeError, ValueError),
    *(ArithmeticError, RecursionError),
)


@dataclass(frozen=True)
class Limits:
    """How long a session lives, in seconds: without a request, and at most."""

    idle: float
    lifetime: float


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

    def limits(self, remember: bool, idle: float | None = None) -> Limits:
        """The limits of a session.

        Args:
            remember: whether it outlives the browser.
            idle: seconds, if its idle limit is shorter than the usual one.
        """
        limits = self._limits[remember]
        return limits if idle is None else Limits(min(idle, limits.idle), limits.lifetime)

    def record(self, session_id: SessionId, stored: Mapping[bytes, bytes]) -> Record | None:
        """The session in a reply to HGETALL; None if it is missing, incomplete after a crash, or
        written by a program or a version that this one does not understand."""
        if keys.METADATA not in stored:
            return None
        try:
            return self._record(session_id, stored)
        except UNREADABLE as error:
            warn_unreadable(error)
            return None

    def _record(self, session_id: SessionId, stored: Mapping[bytes, bytes]) -> Record:
        metadata = _metadata(stored[keys.METADATA])
        if remember := stored.get(keys.REMEMBER):
            metadata = msgspec.structs.replace(metadata, remember=remember == b"1")
        created, seen = _time(stored[keys.CREATED]), _time(stored[keys.SEEN])
        deadline, authenticated = _time(stored[keys.DEADLINE]), stored.get(keys.AUTHENTICATED)
        idle = milliseconds(self.limits(metadata.remember).idle)
        if shorter := stored.get(keys.IDLE):
            idle = min(idle, _time(shorter))
        return Record(
            id=session_id,
            metadata=metadata,
            created=created,
            authenticated_at=_time(authenticated) if authenticated else created,
            seen=seen,
            deadline=deadline,
            expires=min(seen + idle, deadline),
            idle=idle,
            fields=_after(keys.FLASK, stored),
            api_data=_after(keys.DATA, stored),
        )

    def touch_is_due(self, record: Record) -> bool:
        """Whether it seems time to note the use of a session; touch.lua makes sure.

        The guess uses our clock and its known distance from Redis' clock. If a session was seen in
        the future, that distance is wrong, and a touch corrects it too.
        """
        age = time.time() + self._clock_offset - record.seen / 1000
        return not -1.0 < age < _touch_interval(record) / 1000

    def age_of_proof(self, record: Record) -> float:
        """Seconds since the user of a session has authenticated, by Redis' clock. `touch_is_due`
        keeps our idea of that clock right to the minute."""
        return time.time() + self._clock_offset - record.authenticated_at / 1000

    def touch_call(self, record: Record) -> ScriptCall:
        """The call of touch.lua for a session."""
        locator, digest = record.id.locator, record.id.digest
        return ScriptCall(
            [keys.session_key(locator, digest), keys.index_key(locator)],
            [digest, record.idle, _touch_interval(record)],
        )

    def touched(self, record: Record, now: int) -> Record | None:
        """The session after touch.lua returned `now`, Unix ms; None if it is gone."""
        if now == 0:
            return None
        self.learn_clock(now)
        expires = min(now + record.idle, record.deadline)
        return msgspec.structs.replace(record, seen=now, expires=expires)

    def learn_clock(self, now: int) -> None:
        """Note that it is `now` on Redis' clock, Unix ms."""
        self._clock_offset = now / 1000 - time.time()


def device(
    digest: bytes, metadata: bytes, created: bytes, seen: bytes, expires: bytes
) -> Device | None:
    """A row of list.lua: a session in its owner's list, or None if it cannot be read."""
    try:
        return Device(
            handle=digest.decode(),
            metadata=_metadata(metadata),
            created=_time(created),
            seen=_time(seen),
            expires=_time(expires, float),
        )
    except UNREADABLE as error:
        warn_unreadable(error)
        return None


def is_other_type(error: ResponseError) -> bool:
    """Whether Redis says that the key holds no hash, so another program has written it."""
    return str(error).startswith("WRONGTYPE")


def warn_unreadable(error: Exception) -> None:
    """Tell the operator that a session counts as absent. The error itself might say too much."""
    log.warning("session_unreadable", reason=type(error).__name__)


def _metadata(encoded: bytes) -> Metadata:
    metadata = decode_metadata(encoded)
    if not 0 <= metadata.version <= VERSION:
        raise ValueError("a later version")
    return metadata


def _time(digits: bytes, parse: Callable[[bytes], float] = int) -> int:
    number = int(parse(digits))
    if not 0 <= number < LATEST * 1000:
        raise ValueError("no date")
    return number


def _touch_interval(record: Record) -> int:
    """Milliseconds between two notes of use."""
    return min(TOUCH_INTERVAL, record.idle // 2)


def _after(prefix: bytes, stored: Mapping[bytes, bytes]) -> dict[str, bytes]:
    fields = ((name, value) for name, value in stored.items() if name[:1] == prefix)
    try:
        return {name[1:].decode(): value for name, value in fields}
    except UnicodeDecodeError:  # the name is of another program
        return _after(prefix, {name: value for name, value in stored.items() if _is_text(name)})


def _is_text(name: bytes) -> bool:
    try:
        return bool(name.decode())
    except UnicodeDecodeError:
        return False


def milliseconds(seconds: float) -> int:
    """Seconds as whole milliseconds, as Redis expects them."""
    return round(seconds * 1000)
