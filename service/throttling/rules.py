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
from service.throttling.counters import Counter
from service.throttling.table import BY_NETWORK, LOCKED_FOR, LOCKS, Limited, Table

REMEMBERED = 1.0  # seconds; a refund in another worker may end the wait
MOST_REMEMBERED = 4096  # networks, in each worker
LONGEST_WAIT = 86400  # seconds that a client is told to wait
# Charged whatever becomes of the attempt, so that a worker soon remembers who keeps trying.
ALWAYS_CHARGED = frozenset({Limited.LOGIN})


class Call(NamedTuple):
    """The arguments of a script."""

    keys: list[str]
    arguments: list[int]


class Cost(NamedTuple):
    """What an attempt costs, in µs: how long its bucket takes to leak it, the size of the bucket,
    and how long the bucket stays full once an attempt finds it so (0: until it has leaked)."""

    interval: int
    size: int
    lock: int


@dataclass(frozen=True)
class Charged:
    """What an attempt was charged to, and when each bucket would be empty, Unix µs."""

    counters: Sequence[Counter]
    empty_at: Sequence[int]

    def without(self, limits: Collection[Limited]) -> Charged:
        """The same without some limits."""
        kept = [
            (counter, empty_at)
            for counter, empty_at in zip(self.counters, self.empty_at, strict=True)
            if counter.limit not in limits
        ]
        return Charged([counter for counter, _ in kept], [empty_at for _, empty_at in kept])


class ThrottleRules:
    """The rules of one deployment. With an empty table, nothing is limited."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._costs = {limit: _cost(limit, item) for limit, item in table.items()}
        self._used_up: OrderedDict[Counter, float] = OrderedDict()  # until when
        self._remembering = Lock()

    @property
    def is_on(self) -> bool:
        """Whether anything is limited."""
        return bool(self._table)

    def limited(self, counters: Sequence[Counter]) -> list[Counter]:
        """Those that count. What is always charged comes first, as charge.lua requires."""
        return [counter for counter in counters if counter.limit in self._table]

    def charge(self, counters: Sequence[Counter]) -> Call:
        """The call of charge.lua."""
        arguments = [sum(counter.limit in ALWAYS_CHARGED for counter in counters)]
        for counter in counters:
            arguments += self._costs[counter.limit]
        return Call([counter.key for counter in counters], arguments)

    def refund(self, charged: Charged, emptied: Sequence[Counter]) -> Call:
        """The call of refund.lua."""
        arguments = [len(charged.counters)]
        for counter, empty_at in zip(charged.counters, charged.empty_at, strict=True):
            arguments += [empty_at, self._costs[counter.limit].interval]
        return Call([counter.key for counter in (*charged.counters, *emptied)], arguments)

    def charged(self, counters: Sequence[Counter], reply: Sequence[int]) -> Charged:
        """What the reply of charge.lua means.

        Raises:
            TooManyRequests: a limit is used up. This worker remembers for a moment which
                networks have used up theirs.
        """
        is_charged, *values = reply
        if is_charged:
            return Charged(counters, values)
        waits = {
            counter: microseconds / 1e6
            for counter, microseconds in zip(counters, values, strict=True)
        }
        for counter, wait in waits.items():
            if wait > 0 and counter.limit in BY_NETWORK:
                self._remember(counter, wait)
        longest = max(waits, key=waits.__getitem__)
        raise self._refusal(longest.limit, waits[longest])

    def check(self, counters: Sequence[Counter]) -> None:
        """Raise TooManyRequests if this worker remembers that one of them is used up."""
        now = time.monotonic()
        for counter in counters:
            left = self._used_up.get(counter, now) - now
            if left > 0:
                raise self._refusal(counter.limit, left)

    def _remember(self, counter: Counter, wait: float) -> None:
        with self._remembering:
            self._used_up[counter] = time.monotonic() + min(wait, REMEMBERED)
            self._used_up.move_to_end(counter)
            if len(self._used_up) > MOST_REMEMBERED:
                self._used_up.popitem(last=False)

    def _refusal(self, limit: Limited, wait: float) -> TooManyRequests:
        item = self._table[limit]
        kind = GuessesUsedUp if limit in LOCKS else LimitUsedUp
        seconds = min(max(1, math.ceil(wait)), LONGEST_WAIT)
        return kind(limit, item.amount, item.get_expiry(), seconds)


def _cost(limit: Limited, item: RateLimitItem) -> Cost:
    interval = item.get_expiry() * 1_000_000 // item.amount
    return Cost(interval, item.amount * interval, LOCKED_FOR * 1_000_000 if limit in LOCKS else 0)
