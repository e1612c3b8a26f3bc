"""Where sessions live: Redis. No other module builds a key or knows a field."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog
from redis import Redis, RedisCluster

from service import metrics
from service.errors import SessionRevoked, SessionStoreUnavailable
from service.sessions.ids import SessionId, new_locator
from service.sessions.record import Device, Limits, Metadata, Record
from service.storage.coalesced import CoalescedReads
from service.storage.redis import failing_as

log = structlog.get_logger()

SCRIPTS = Path(__file__).parent / "lua"
EPOCH_MEMORY = 86400.0  # seconds: longer than any sign-in takes
FOUND, ABSENT, UNAVAILABLE = (
    metrics.SESSION_READS.labels(outcome) for outcome in ("found", "absent", "unavailable")
)
DATA = ":"  # before the name of each session key, so that none collides with a field of ours
METADATA = "."
METADATA_FIELD = METADATA.encode()

Argument = bytes | str | int


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

    The commands: read HGETALL, those in flight together in one pipeline; everything else one
    EVALSHA (lua/*.lua). A session's three keys lie in one slot of a Redis Cluster.

    Every method raises SessionStoreUnavailable, within a second, if Redis does not answer.
    """

    def __init__(
        self,
        redis: Redis | RedisCluster,
        limits: Limits,
        remembered_limits: Limits,
        sessions_per_account: int,
    ) -> None:
        self._redis = redis
        self._reads = CoalescedReads(redis, _count)
        self._limits = {False: limits, True: remembered_limits}
        self._sessions_per_account = sessions_per_account
        self._scripts = {
            file.stem: redis.register_script(file.read_text(encoding="utf-8"))
            for file in SCRIPTS.glob("*.lua")
        }
        self._decode_metadata = msgspec.msgpack.Decoder(Metadata).decode
        self._encode_metadata = msgspec.msgpack.Encoder().encode
        self._clock_offset = 0.0

    def create(
        self,
        metadata: Metadata,
        fields: Mapping[str, bytes],
        locator: str | None = None,
        epoch: int | None = None,
        replaces: SessionId | None = None,
    ) -> Record:
        """Store a new session under a new id.

        Args:
            metadata: what it belongs to and where it was opened.
            fields: its keys, encoded.
            locator: the account's; None for an anonymous session.
            epoch: the account's session epoch, read together with the password hash.
            replaces: a session that ends in the same step, if it is one of the same account.

        Raises:
            SessionRevoked: the account's sessions were revoked after `epoch` was read.
        """
        session_id = SessionId.new(locator or new_locator())
        limits = self._limits[metadata.remember]
        arguments: list[Argument] = [
            session_id.digest,
            "" if epoch is None else epoch,
            _milliseconds(limits.idle),
            _milliseconds(limits.lifetime),
            self._sessions_per_account,
            _session_key(session_id.locator, ""),
            replaces.digest if replaces and replaces.locator == session_id.locator else "",
            METADATA,
            self._encode_metadata(metadata),
        ]
        for name, value in fields.items():
            arguments += [DATA + name, value]
        now: int = self._run("create", _keys(session_id), arguments)
        if now == 0:
            raise SessionRevoked
        self._learn_clock(now)
        return self._record(
            session_id, metadata, now, now, now + _milliseconds(limits.lifetime), fields
        )

    def read(self, session_id: SessionId) -> Record | None:
        """The session of that id, or None if there is none. Notes the use if it is due."""
        with failing_as(SessionStoreUnavailable):
            stored: dict[bytes, bytes] = self._reads.read(
                "HGETALL", _session_key(session_id.locator, session_id.digest)
            )
        if METADATA_FIELD not in stored:  # not there, or cut off by a crash of Redis
            return None
        record = self._record(
            session_id,
            self._decode_metadata(stored[METADATA_FIELD]),
            int(stored[b"created"]),
            int(stored[b"seen"]),
            int(stored[b"deadline"]),
            {name[1:].decode(): value for name, value in stored.items() if name[:1] == b":"},
        )
        return self._touched(record) if self._touch_is_due(record) else record

    def save(
        self, session_id: SessionId, changed: Mapping[str, bytes], removed: Collection[str]
    ) -> bool:
        """Write the changed keys and delete the removed ones.

        Returns:
            False if the session is gone; then nothing was written.
        """
        arguments: list[Argument] = [len(removed), *(DATA + name for name in removed)]
        for name, value in changed.items():
            arguments += [DATA + name, value]
        return bool(self._run("save", _keys(session_id)[:1], arguments))

    def touch(self, record: Record) -> Record | None:
        """Note that the session is in use. Redis' clock decides whether it is due.

        Returns:
            The record as it stands now; None if the session is gone.
        """
        limits = self._limits[record.metadata.remember]
        arguments: list[Argument] = [
            record.id.digest,
            _milliseconds(limits.idle),
            _milliseconds(limits.touch_interval),
        ]
        now: int = self._run("touch", _keys(record.id)[:2], arguments)
        if now == 0:
            return None
        self._learn_clock(now)
        expires = self._expiry(record.metadata, now, record.deadline)
        return msgspec.structs.replace(record, seen=now, expires=expires)

    def rotate(self, record: Record) -> Record | None:
        """Move the session to a new id; the old one is dead in the same step.

        Returns:
            The record under its new id; None if the session is gone.
        """
        new = SessionId.new(record.id.locator)
        session, index, _ = _keys(record.id)
        keys = [session, _keys(new)[0], index]
        moved = self._run("rotate", keys, [record.id.digest, new.digest])
        return msgspec.structs.replace(record, id=new) if moved else None

    def devices(self, locator: str) -> list[Device]:
        """The sessions of an account that live, the longest-lived first."""
        rows = self._run("list", [_index_key(locator)], [_session_key(locator, ""), METADATA])
        return [
            Device(
                handle.decode(),
                self._decode_metadata(metadata),
                int(created),
                int(seen),
                int(float(expires)),
            )
            for handle, metadata, created, seen, expires in rows
        ]

    def revoke(self, locator: str, handle: str) -> bool:
        """End the session whose id has that locator and that digest. Returns whether there was
        one."""
        keys = [_session_key(locator, handle), _index_key(locator)]
        return bool(self._run("revoke", keys, [handle]))

    def revoke_all(self, locator: str, epoch: int, keep: SessionId | None = None) -> int:
        """End every session of an account, and every sign-in that read an older epoch.

        Args:
            locator: the account's.
            epoch: what its session epoch in Postgres was raised to, before this.
            keep: a session that goes on.

        Returns:
            How many sessions were ended.
        """
        arguments: list[Argument] = [
            epoch,
            _milliseconds(EPOCH_MEMORY),
            _session_key(locator, ""),
            keep.digest if keep else "",
        ]
        ended: int = self._run("revoke_all", [_index_key(locator), _epoch_key(locator)], arguments)
        return ended

    def ping(self) -> None:
        """Ask for a sign of life."""
        with failing_as(SessionStoreUnavailable):
            self._redis.ping()

    def _run(self, script: str, keys: list[str], arguments: Sequence[Argument]) -> Any:
        with failing_as(SessionStoreUnavailable):
            return self._scripts[script](keys=keys, args=arguments)

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

    def _touched(self, record: Record) -> Record | None:
        """A Redis that is full still reads: who is signed in is told, and the use noted later."""
        try:
            return self.touch(record)
        except SessionStoreUnavailable as error:
            log.warning("session_touch_failed", reason=type(error.__cause__).__name__)
            return record

    def _touch_is_due(self, record: Record) -> bool:
        """Guessed by this worker's clock, corrected to Redis'; touch.lua has the last word. A
        session seen in the future shows that the correction is off: a touch mends that too."""
        age = time.time() + self._clock_offset - record.seen / 1000
        return not -1.0 < age < self._limits[record.metadata.remember].touch_interval

    def _learn_clock(self, now: int) -> None:
        self._clock_offset = now / 1000 - time.time()


def _count(answers: Sequence[Any]) -> None:
    """Once for a batch: a counter that all workers share costs as much as a look at a session."""
    failed = sum(isinstance(answer, Exception) for answer in answers)
    found = sum(METADATA_FIELD in answer for answer in answers if isinstance(answer, dict))
    FOUND.inc(found)
    ABSENT.inc(len(answers) - found - failed)
    UNAVAILABLE.inc(failed)


def _session_key(locator: str, digest: str) -> str:
    return f"coatcheck:{{{locator}}}:session:{digest}"


def _index_key(locator: str) -> str:
    return f"coatcheck:{{{locator}}}:sessions"


def _epoch_key(locator: str) -> str:
    return f"coatcheck:{{{locator}}}:epoch"


def _keys(session_id: SessionId) -> list[str]:
    locator = session_id.locator
    return [_session_key(locator, session_id.digest), _index_key(locator), _epoch_key(locator)]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
