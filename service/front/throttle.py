"""Limits on the event loop, for requests that it answers itself or should not even hand over."""

from __future__ import annotations

import time
from collections import Counter
from functools import lru_cache
from typing import Any

from service import metrics
from service.errors import LimitUsedUp
from service.front.asgi import RawHeaders
from service.front.client_address import client_address
from service.metrics import Tally
from service.storage.lines import Lines
from service.storage.loop_script import LoopScript
from service.storage.redis_failures import REDIS_FAILURES
from service.throttling.buckets import Bucket, by_network
from service.throttling.outages import OutageLog
from service.throttling.rules import ThrottleRules
from service.throttling.scripts import CHARGE
from service.throttling.table import BY_NETWORK, Limited
from service.web.answers import Answer
from service.web.problems import problem_of

EXCEPTIONS = 10  # requests a second from each network


class LoopThrottle:
    """Charges a request to a limit of its network. Charges that arrive together share a pipeline,
    and while a network has used up a limit, a flood from there costs Redis nothing."""

    def __init__(
        self, lines: Lines, rules: ThrottleRules, outages: OutageLog, proxies: int
    ) -> None:
        """
        Args:
            lines: connections to the Redis that has the buckets.
            rules: also used in threads, so that each learns what the other finds.
            outages: also used in threads, so that one of them logs an outage.
            proxies: how many of them to trust.
        """
        self.is_on = rules.is_on
        self._lines = lines
        self._rules = rules
        self._outages = outages
        self._script = LoopScript(lines, CHARGE)
        self._proxies = proxies
        self._excepted: Counter[Bucket] = Counter()  # in this second
        self._excepted_since = 0.0
        self._unthrottled = Tally(metrics.UNTHROTTLED)
        self._throttled = {limit: Tally(metrics.THROTTLED.labels(limit)) for limit in BY_NETWORK}

    def refusal(
        self, limit: Limited, peer: Any, headers: RawHeaders, may_be_excepted: bool = False
    ) -> Answer | None:
        """The response to a client whose network is known to have used up the limit, else None.

        Args:
            limit: of the network.
            peer: the other end of the connection.
            headers: of the request.
            may_be_excepted: whether the request may have an allowance of its own, which only a
                thread can tell. A few such requests a second go on: if anybody claims to have one,
                a flood still costs little.
        """
        bucket = by_network(limit, client_address(peer, headers, self._proxies))
        try:
            self._rules.check([bucket])
        except LimitUsedUp as error:
            if may_be_excepted and self._is_excepted(bucket):
                return None
            return self._refuse(limit, error)
        return None

    async def charge(self, limit: Limited, peer: Any, headers: RawHeaders) -> Answer | None:
        """Charge a request; returns the response if the limit is used up. Without Redis, the
        request goes on uncharged."""
        bucket = by_network(limit, client_address(peer, headers, self._proxies))
        try:
            self._rules.check([bucket])
            reply = await self._script.run(self._rules.charge_call([bucket]))
            self._rules.receipt_of([bucket], reply)
        except LimitUsedUp as error:
            return self._refuse(limit, error)
        except REDIS_FAILURES:
            self._unthrottled.count()
            self._outages.note("charge")
        return None

    async def close(self) -> None:
        """Close the connections."""
        await self._lines.close()

    def _is_excepted(self, bucket: Bucket) -> bool:
        now = time.monotonic()
        if now - self._excepted_since >= 1:
            self._excepted.clear()
            self._excepted_since = now
        self._excepted[bucket] += 1
        return self._excepted[bucket] <= EXCEPTIONS

    def _refuse(self, limit: Limited, error: LimitUsedUp) -> Answer:
        self._throttled[limit].count()
        return _answer(limit, error.amount, error.window, error.retry_after)


@lru_cache  # a flood gets the same response again and again
def _answer(limit: str, amount: int, window: int, retry_after: int) -> Answer:
    return problem_of(LimitUsedUp(limit, amount, window, retry_after)).answer()
