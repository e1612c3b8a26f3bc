"""What a charge costs, what Redis' reply means, and what a worker remembers. `Throttle` in threads
and the event loop both follow these rules, so they do no I/O."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple

from limits import RateLimitItem

from service.errors import GuessesUsedUp, LimitUsedUp, TooManyRequests
from service.storage.loop_script import ScriptCall
from service.throttling.buckets import Bucket
from service.throttling.table import BY_NETWORK, LOCKED_FOR, LOCKS, Limited, Table

REMEMBERED = 1.0  # seconds; a refund in another worker may end the wait
MOST_REMEMBERED = 4096  # networks, in each worker
# Charged whatever becomes of the attempt, so that a worker soon remembers who keeps trying.
ALWAYS_CHARGED = frozenset({Limited.LOGIN})


class Cost(NamedTuple):
    """What an attempt costs, in µs: how long its bucket takes to leak it, the size of the bucket,
    and how long the bucket stays full once an attempt finds it so (0: until it has leaked). And
    whether it costs this even if another limit is used up."""

    interval: int
    size: int
    lock: int
    is_always_charged: int


@dataclass(frozen=True)
class Receipt:
    """What an attempt was charged to, and when each bucket would be empty, Unix µs."""

    buckets: Sequence[Bucket]
    empty_at: Sequence[int]

    def without(self, limits: Collection[Limited]) -> Receipt:
        """The same without some limits."""
        kept = [
            (bucket, empty_at)
            for bucket, empty_at in zip(self.buckets, self.empty_at, strict=True)
            if bucket.limit not in limits
        ]
        return Receipt([bucket for bucket, _ in kept], [empty_at for _, empty_at in kept])


class ThrottleRules:
    """The rules of one deployment. With an empty table, nothing is limited."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._costs = {limit: _cost(limit, item) for limit, item in table.items()}
        self._used_up: OrderedDict[Bucket, float] = OrderedDict()  # until when
        self._remembering = Lock()

    @property
    def is_on(self) -> bool:
        """Whether anything is limited."""
        return bool(self._table)

    def limited(self, buckets: Sequence[Bucket]) -> list[Bucket]:
        """The buckets whose limit is in the table."""
        return [bucket for bucket in buckets if bucket.limit in self._table]

    def charge_call(self, buckets: Sequence[Bucket]) -> ScriptCall:
        """The call of charge.lua."""
        arguments: list[str | int] = []
        for bucket in buckets:
            arguments += self._costs[bucket.limit]
        return ScriptCall([bucket.key for bucket in buckets], arguments)

    def refund_call(self, receipt: Receipt, emptied: Sequence[Bucket]) -> ScriptCall:
        """The call of refund.lua."""
        arguments: list[str | int] = [len(receipt.buckets)]
        for bucket, empty_at in zip(receipt.buckets, receipt.empty_at, strict=True):
            cost = self._costs[bucket.limit]
            arguments += [empty_at, cost.interval, cost.size]
        return ScriptCall([bucket.key for bucket in (*receipt.buckets, *emptied)], arguments)

    def is_used_up(self, bucket: Bucket, left: float) -> bool:
        """Whether the next attempt does not fit into a bucket that takes `left` µs to leak."""
        cost = self._costs[bucket.limit]
        return left + cost.interval > cost.size

    def receipt_of(self, buckets: Sequence[Bucket], reply: Sequence[int]) -> Receipt:
        """What the reply of charge.lua means.

        Raises:
            TooManyRequests: a limit is used up. This worker remembers for a moment which
                networks have used up theirs.
        """
        is_charged, *values = reply
        if is_charged:
            return Receipt(buckets, values)
        waits = {
            bucket: microseconds / 1e6 for bucket, microseconds in zip(buckets, values, strict=True)
        }
        for bucket, wait in waits.items():
            if wait > 0 and bucket.limit in BY_NETWORK:
                self._remember(bucket, wait)
        longest = max(waits, key=waits.__getitem__)
        raise self._refusal(longest.limit, waits[longest])

    def check(self, buckets: Sequence[Bucket]) -> None:
        """Raise TooManyRequests if this worker remembers that one of them is used up."""
        now = time.monotonic()
        for bucket in buckets:
            left = self._used_up.get(bucket, now) - now
            if left > 0:
                raise self._refusal(bucket.limit, left)

    def _remember(self, bucket: Bucket, wait: float) -> None:
        with self._remembering:
            self._used_up[bucket] = time.monotonic() + min(wait, REMEMBERED)
            self._used_up.move_to_end(bucket)
            if len(self._used_up) > MOST_REMEMBERED:
                self._used_up.popitem(last=False)

    def _refusal(self, limit: Limited, wait: float) -> TooManyRequests:
        item = self._table[limit]
        if limit in LOCKS:
            return GuessesUsedUp(limit, item.amount, item.get_expiry())
        return LimitUsedUp(limit, item.amount, item.get_expiry(), max(1, math.ceil(wait)))


def _cost(limit: Limited, item: RateLimitItem) -> Cost:
    interval = item.get_expiry() * 1_000_000 // item.amount
    lock = LOCKED_FOR * 1_000_000 if limit in LOCKS else 0
    return Cost(interval, item.amount * interval, lock, int(limit in ALWAYS_CHARGED))
