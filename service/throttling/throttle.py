"""Charges attempts to limits, from threads.

Reserve, verify, refund: an attempt is charged before it is checked, so a parallel burst gets no
more tries than a sequence. What was right, or was never checked, is given back.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
from redis import Redis, RedisCluster

from service import metrics
from service.errors import SessionStoreUnavailable, TooManyRequests, Unavailable
from service.storage.redis import failing_as
from service.throttling.counters import Counter
from service.throttling.rules import Call, Charged, ThrottleRules
from service.throttling.scripts import CHARGE, REFUND
from service.throttling.table import NOT_RETURNED

log = structlog.get_logger()

NOTHING = Charged((), ())
LOG_INTERVAL = 10.0  # seconds between two lines about the same outage


class Charge:
    """An attempt that has been charged. In a `with` block it is checked; if that turns out to be
    impossible for now, the block gives it back."""

    def __init__(self, throttle: Throttle, charged: Charged) -> None:
        self._throttle = throttle
        self._charged = charged

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, Unavailable):
            self._give_back(self._charged, ())

    def refund(self, emptied: Sequence[Counter] = ()) -> None:
        """Give back an attempt that was right, as far as such attempts are, and empty other limits.
        If Redis does not answer, the attempt stays charged."""
        self._give_back(self._charged.without(NOT_RETURNED), emptied)

    def _give_back(self, charged: Charged, emptied: Sequence[Counter]) -> None:
        self._charged = NOTHING
        try:
            self._throttle.give_back(charged, emptied)
        except SessionStoreUnavailable:
            self._throttle.note_outage("refund")


@contextmanager
def counted() -> Iterator[None]:
    """Count an attempt that is rejected in the block."""
    try:
        yield
    except TooManyRequests as error:
        metrics.THROTTLED.labels(error.limit).inc()
        raise


class Throttle:
    """Limits attempts by counters in the Redis that keeps the sessions: a cache could evict them.

    Each operation is one script in lua/, and one round trip however many limits it concerns.
    """

    def __init__(self, redis: Redis | RedisCluster, rules: ThrottleRules) -> None:
        self.rules = rules
        self._charge = redis.register_script(CHARGE)
        self._refund = redis.register_script(REFUND)
        self._logged_at = 0.0

    def charge(self, counters: Sequence[Counter]) -> Charge:
        """Charge an attempt to all of these limits.

        Raises:
            TooManyRequests: one of them is used up; nothing was charged, except what counts
                whoever keeps trying.
            SessionStoreUnavailable: Redis does not answer, within a second.
        """
        counters = self.rules.limited(counters)
        if not counters:
            return Charge(self, NOTHING)
        self.check(counters)
        reply = self._run(self._charge, self.rules.charge(counters))
        with counted():
            return Charge(self, self.rules.charged(counters, reply))

    def check(self, counters: Sequence[Counter]) -> None:
        """Raise TooManyRequests if this worker remembers that one of them is used up."""
        with counted():
            self.rules.check(counters)

    def charge_if_possible(self, counters: Sequence[Counter]) -> Charge:
        """The same, but without Redis, the attempt goes on uncharged."""
        try:
            return self.charge(counters)
        except SessionStoreUnavailable:
            self.note_outage("charge")
            return Charge(self, NOTHING)

    def give_back(self, charged: Charged, emptied: Sequence[Counter]) -> None:
        """Undo a charge, and empty other limits.

        Raises:
            SessionStoreUnavailable: Redis does not answer.
        """
        call = self.rules.refund(charged, self.rules.limited(emptied))
        if call.keys:
            self._run(self._refund, call)

    def empty(self, counters: Sequence[Counter]) -> None:
        """Forget what was charged to these limits.

        Raises:
            SessionStoreUnavailable: Redis does not answer.
        """
        self.give_back(NOTHING, counters)

    def note_outage(self, step: str) -> None:
        """Count an attempt to which Redis could not apply a limit, and log it now and then."""
        metrics.UNTHROTTLED.inc()
        now = time.monotonic()
        if now - self._logged_at > LOG_INTERVAL:
            self._logged_at = now
            log.warning("throttle_unavailable", step=step)

    def _run(self, script: Any, call: Call) -> Any:
        with failing_as(SessionStoreUnavailable):
            return script(keys=call.keys, args=call.arguments)
