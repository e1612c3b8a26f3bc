"""Charges attempts to limits, from threads.

Reserve, verify, refund: an attempt is charged before it is checked, so a parallel burst gets no
more tries than a sequence. What was right, or was never checked, is given back.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from redis import Redis, RedisCluster

from service import metrics
from service.errors import SessionStoreUnavailable, TooManyRequests, Unavailable
from service.storage.loop_script import ScriptCall
from service.storage.redis import failing_as
from service.throttling.buckets import Bucket
from service.throttling.outages import OutageLog
from service.throttling.rules import Receipt, ThrottleRules
from service.throttling.scripts import CHARGE, REFUND
from service.throttling.table import NOT_RETURNED

NOTHING = Receipt((), ())


class Charge:
    """An attempt that has been charged. In a `with` block it is checked; if that turns out to be
    impossible for now, the block gives it back."""

    def __init__(self, throttle: Throttle, receipt: Receipt) -> None:
        self._throttle = throttle
        self._receipt = receipt

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, Unavailable):
            self._return(self._receipt, ())

    def refund(self, emptied: Sequence[Bucket] = ()) -> None:
        """Give back an attempt that was right, as far as such attempts are, and empty other
        buckets. If Redis does not answer, the attempt stays charged."""
        self._return(self._receipt.without(NOT_RETURNED), emptied)

    def _return(self, receipt: Receipt, emptied: Sequence[Bucket]) -> None:
        self._receipt = NOTHING
        try:
            self._throttle.refund(receipt, emptied)
        except SessionStoreUnavailable:
            self._throttle.outages.note("refund")


@contextmanager
def counted() -> Iterator[None]:
    """Count an attempt that is rejected in the block."""
    try:
        yield
    except TooManyRequests as error:
        metrics.THROTTLED.labels(error.limit).inc()
        raise


class Throttle:
    """Limits attempts by buckets in the Redis that keeps the sessions: a cache could evict them.

    Each operation is one script in lua/, and one round trip however many limits it concerns.
    """

    def __init__(self, redis: Redis | RedisCluster, rules: ThrottleRules) -> None:
        self.rules = rules
        self.outages = OutageLog()
        self._redis = redis
        self._charge_script = redis.register_script(CHARGE)
        self._refund_script = redis.register_script(REFUND)

    def charge(self, buckets: Sequence[Bucket]) -> Charge:
        """Charge an attempt to all of these limits.

        Raises:
            TooManyRequests: one of them is used up; nothing was charged, except to the limits that
                are always charged.
            SessionStoreUnavailable: Redis does not answer, within a second.
        """
        buckets = self.rules.limited(buckets)
        if not buckets:
            return Charge(self, NOTHING)
        self.check(buckets)
        reply = self._run(self._charge_script, self.rules.charge_call(buckets))
        with counted():
            return Charge(self, self.rules.receipt_of(buckets, reply))

    def check(self, buckets: Sequence[Bucket]) -> None:
        """Raise TooManyRequests if this worker remembers that one of them is used up."""
        with counted():
            self.rules.check(buckets)

    def charge_if_possible(self, buckets: Sequence[Bucket]) -> Charge:
        """The same, but without Redis, the attempt goes on uncharged."""
        try:
            return self.charge(buckets)
        except SessionStoreUnavailable:
            metrics.UNTHROTTLED.inc()
            self.outages.note("charge")
            return Charge(self, NOTHING)

    def refund(self, receipt: Receipt, emptied: Sequence[Bucket]) -> list[Bucket]:
        """Undo a charge, and empty other buckets.

        Returns:
            Those of the others that were used up.

        Raises:
            SessionStoreUnavailable: Redis does not answer.
        """
        emptied = self.rules.limited(emptied)
        call = self.rules.refund_call(receipt, emptied)
        if not call.keys:
            return []
        left = zip(emptied, self._run(self._refund_script, call), strict=True)
        return [bucket for bucket, each in left if self.rules.is_used_up(bucket, each)]

    def empty(self, buckets: Sequence[Bucket]) -> list[Bucket]:
        """Forget what was charged to these limits; returns those that were used up.

        Raises:
            SessionStoreUnavailable: Redis does not answer.
        """
        return self.refund(NOTHING, buckets)

    def is_used_up(self, bucket: Bucket) -> bool:
        """Whether the next attempt would be rejected, by the clock of this machine.

        Raises:
            SessionStoreUnavailable: Redis does not answer.
        """
        if not self.rules.limited([bucket]):
            return False
        with failing_as(SessionStoreUnavailable):
            empty_at = int(self._redis.get(bucket.key) or 0)
        return self.rules.is_used_up(bucket, empty_at - time.time() * 1_000_000)

    def _run(self, script: Any, call: ScriptCall) -> Any:
        with failing_as(SessionStoreUnavailable):
            return script(keys=call.keys, args=call.arguments)
