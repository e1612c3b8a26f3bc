"""Sessions in Redis, for threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import structlog
from redis import Redis, RedisCluster
from redis.exceptions import ResponseError

from service import metrics
from service.errors import SessionRevoked, SessionStoreUnavailable, SessionTooLarge
from service.sessions.contents import UNCHANGED, Change, namespaces
from service.sessions.ids import SessionId, new_locator
from service.sessions.keys import IDLE, METADATA, REMEMBER, epoch_key, index_key, session_key
from service.sessions.record import Device, NewSession, Record, encode_metadata
from service.sessions.rules import (
    SessionRules,
    device,
    is_other_type,
    milliseconds,
    warn_unreadable,
)
from service.sessions.scripts import SCRIPTS
from service.storage.redis import failing_as

log = structlog.get_logger()

EPOCH_MEMORY = 86400.0  # seconds: longer than any sign-in takes
FOUND, ABSENT, UNAVAILABLE = (
    metrics.SESSION_READS.labels(outcome) for outcome in ("found", "absent", "unavailable")
)

Argument = bytes | str | int


class SessionStore:
    """Creates, reads, changes and ends sessions, each in one atomic step.

    A read is one HGETALL; every other operation is one script in lua/. `keys` describes the keys.
    Every method raises SessionStoreUnavailable, within a second, if Redis does not answer.
    """

    def __init__(
        self, redis: Redis | RedisCluster, rules: SessionRules, sessions_per_account: int
    ) -> None:
        self._redis = redis
        self._rules = rules
        self._sessions_per_account = sessions_per_account
        self._scripts = {name: redis.register_script(script) for name, script in SCRIPTS.items()}

    def create(
        self,
        new: NewSession,
        fields: Mapping[str, bytes] = {},
        data: Mapping[str, bytes] = {},
        replaces: SessionId | None = None,
    ) -> Record:
        """Store a new session under a new id.

        Args:
            new: its owner and its start.
            fields: its keys of `flask.session`, with encoded values.
            data: its keys of the API's data, with encoded values.
            replaces: a session that ends in the same step, if it belongs to the same account.

        Raises:
            SessionRevoked: the account's sessions were revoked after `new.epoch` was read.
            SessionTooLarge: it would hold too much.
        """
        session_id, metadata = SessionId.new(new.locator or new_locator()), new.metadata
        in_flask, in_api = namespaces(new.owner)
        limits = self._rules.limits(new.remember, new.idle)
        idle, lifetime = milliseconds(limits.idle), milliseconds(limits.lifetime)
        idle_field: list[Argument] = [] if new.idle is None else [IDLE, idle]
        arguments: list[Argument] = [
            session_id.digest,
            "" if new.epoch is None else new.epoch,
            idle,
            lifetime,
            self._sessions_per_account,
            session_key(session_id.locator, ""),
            replaces.digest if replaces and replaces.locator == session_id.locator else "",
            METADATA,
            encode_metadata(metadata),
            *idle_field,
            *in_flask.pairs(fields),
            *in_api.pairs(data),
        ]
        now: int = self._run("create", _keys(session_id), arguments)
        if now == 0:
            raise SessionRevoked
        self._rules.learn_clock(now)
        deadline = now + lifetime
        return Record(
            id=session_id,
            metadata=metadata,
            created=now,
            authenticated_at=now,
            seen=now,
            deadline=deadline,
            expires=min(now + idle, deadline),
            idle=idle,
            fields=fields,
            api_data=data,
        )

    def read(self, session_id: SessionId) -> Record | None:
        """The session with that id, or None if there is none. Notes the use if it is due."""
        key = session_key(session_id.locator, session_id.digest)
        try:
            with failing_as(SessionStoreUnavailable):
                stored = self._fields(key)
        except SessionStoreUnavailable:
            UNAVAILABLE.inc()
            raise
        record = self._rules.record(session_id, stored)
        (FOUND if record else ABSENT).inc()
        return self._touched(record) if record and self._rules.touch_is_due(record) else record

    def _fields(self, key: str) -> Any:
        try:
            return self._redis.hgetall(key)
        except ResponseError as error:
            if not is_other_type(error):
                raise
            warn_unreadable(error)
            return {}

    def save(self, record: Record, fields: Change = UNCHANGED, data: Change = UNCHANGED) -> bool:
        """Write what changed in `flask.session` and in the API's data, in one step.

        Returns:
            False if the session is gone; then nothing was written.

        Raises:
            SessionTooLarge: it would hold too much; nothing was written.
        """
        in_flask, in_api = namespaces(record.metadata.owner)
        arguments = [*in_flask.arguments(fields), *in_api.arguments(data)]
        saved: int = self._run("save", _keys(record.id)[:1], arguments)
        if saved < 0:
            full = (in_flask, in_api)[-saved - 1]
            raise SessionTooLarge(full.most_keys, full.most_bytes)
        return saved == 1

    def touch(self, record: Record) -> Record | None:
        """Note that the session is in use, if it is due by Redis' clock.

        Returns:
            The current record; None if the session is gone.
        """
        touch = self._rules.touch_call(record)
        return self._rules.touched(record, self._run("touch", touch.keys, touch.arguments))

    def set_remember(
        self, record: Record, remember: bool, idle: float | None = None
    ) -> Record | None:
        """Let a session outlive the browser, or end with it; its limits change too.

        Args:
            remember: whether it outlives the browser.
            idle: seconds, if its idle limit is shorter than the usual one.

        Returns:
            The record with its new limits; None if the session is gone.
        """
        limits = self._rules.limits(remember, idle)
        new_idle, lifetime = milliseconds(limits.idle), milliseconds(limits.lifetime)
        longest = max(lifetime, milliseconds(self._rules.limits(not remember).lifetime))
        arguments: list[Argument] = [record.id.digest, REMEMBER, int(remember), IDLE, new_idle]
        arguments += [lifetime, longest]
        now, deadline = self._run("set_remember", _keys(record.id)[:2], arguments)
        if now == 0:
            return None
        changed = msgspec.structs.replace(
            record,
            metadata=msgspec.structs.replace(record.metadata, remember=remember),
            deadline=deadline,
            idle=new_idle,
        )
        return self._rules.touched(changed, now)

    def rotate(
        self,
        record: Record,
        proven: tuple[str, ...] = (),
        epoch: int | None = None,
        new: SessionId | None = None,
    ) -> Record | None:
        """Move the session to a new id, which also invalidates the old one.

        Args:
            record: the session.
            proven: the methods by which the user has just authenticated again, if any.
            epoch: of the account, read together with the credentials that were proven.
            new: the new id, if it is decided already.

        Returns:
            The record under its new id; None if the session is gone, or if the account's sessions
            were revoked after `epoch` was read.
        """
        new = new or SessionId.new(record.id.locator)
        metadata = record.metadata.after(proven)
        session, index, account_epoch = _keys(record.id)
        arguments: list[Argument] = [record.id.digest, new.digest]
        if proven:
            arguments += [METADATA, encode_metadata(metadata), "" if epoch is None else epoch]
        now: int = self._run("rotate", [session, _keys(new)[0], index, account_epoch], arguments)
        if now == 0:
            return None
        authenticated_at = now if proven else record.authenticated_at
        return msgspec.structs.replace(
            record, id=new, metadata=metadata, authenticated_at=authenticated_at
        )

    def devices(self, locator: str) -> list[Device]:
        """The live sessions of an account, the latest expiry first."""
        rows = self._run("list", [index_key(locator)], [session_key(locator, ""), METADATA])
        return [found for row in rows if (found := device(*row))]

    def revoke(self, locator: str, handle: str) -> bool:
        """End the session with that locator and digest, also if it has just moved to a new id.
        Returns whether there was one."""
        keys = [session_key(locator, handle), index_key(locator)]
        return bool(self._run("revoke", keys, [handle, session_key(locator, "")]))

    def revoke_all(self, locator: str, epoch: int, keep: str | None = None) -> int:
        """End every session of an account that was authenticated before an epoch, and every sign-in
        that read an older one. Doing so again, however late, ends nothing that signed in since.

        Args:
            locator: of the account.
            epoch: the session epoch of the account, which Postgres must already have.
            keep: the digest of a session that continues.

        Returns:
            How many sessions were ended.
        """
        arguments: list[Argument] = [
            epoch,
            milliseconds(EPOCH_MEMORY),
            session_key(locator, ""),
            keep or "",
        ]
        ended: int = self._run("revoke_all", [index_key(locator), epoch_key(locator)], arguments)
        return ended

    def ping(self) -> None:
        """Check that Redis answers."""
        with failing_as(SessionStoreUnavailable):
            self._redis.ping()

    def _run(self, script: str, keys: list[str], arguments: Sequence[Argument]) -> Any:
        with failing_as(SessionStoreUnavailable):
            return self._scripts[script](keys=keys, args=arguments)

    def _touched(self, record: Record) -> Record | None:
        """Note the use. A full Redis still reads, so a failure does not matter until later."""
        try:
            return self.touch(record)
        except SessionStoreUnavailable as error:
            log.warning("session_touch_failed", reason=type(error.__cause__).__name__)
            return record


def _keys(session_id: SessionId) -> list[str]:
    locator = session_id.locator
    return [session_key(locator, session_id.digest), index_key(locator), epoch_key(locator)]
