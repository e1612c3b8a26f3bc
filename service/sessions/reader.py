"""Reads sessions on the event loop."""

from __future__ import annotations

import structlog
from redis.exceptions import ResponseError

from service import metrics
from service.errors import SessionStoreUnavailable
from service.metrics import Tally
from service.sessions import keys
from service.sessions.ids import SessionId
from service.sessions.record import Record
from service.sessions.rules import SessionRules, is_other_type, warn_unreadable
from service.sessions.scripts import SCRIPTS
from service.storage.lines import Lines
from service.storage.loop_script import LoopScript
from service.storage.redis_failures import REDIS_FAILURES

log = structlog.get_logger()


class SessionReader:
    """Does on the loop what `SessionStore.read` does in a thread: one HGETALL, and a touch if it is
    due. Reads that arrive together share a pipeline."""

    def __init__(self, lines: Lines, rules: SessionRules) -> None:
        self._lines = lines
        self._rules = rules
        self._touch = LoopScript(lines, SCRIPTS["touch"])
        self._tallies = {
            outcome: Tally(metrics.SESSION_READS.labels(outcome))
            for outcome in ("found", "absent", "unavailable")
        }

    async def read(self, session_id: SessionId) -> Record | None:
        """The session with that id, or None if there is none. Notes the use if it is due.

        Raises:
            SessionStoreUnavailable: Redis does not answer, within a second.
        """
        key = keys.session_key(session_id.locator, session_id.digest)
        try:
            flat: list[bytes] = await self._lines.call(key, b"HGETALL", key.encode())
        except REDIS_FAILURES as error:
            if not (isinstance(error, ResponseError) and is_other_type(error)):
                self._tallies["unavailable"].count()
                raise SessionStoreUnavailable from error
            warn_unreadable(error)
            flat = []
        record = self._rules.record(session_id, dict(zip(flat[::2], flat[1::2], strict=True)))
        self._tallies["found" if record else "absent"].count()
        if record and self._rules.touch_is_due(record):
            return await self._touched(record)
        return record

    async def close(self) -> None:
        """Close the connections."""
        await self._lines.close()

    async def _touched(self, record: Record) -> Record | None:
        """Note the use. A full Redis still reads, so a failure does not matter until later."""
        try:
            now = await self._touch.run(self._rules.touch_call(record))
        except REDIS_FAILURES as error:
            log.warning("session_touch_failed", reason=type(error).__name__)
            return record
        return self._rules.touched(record, now)
