"""Limits on the event loop, for requests that it answers itself or should not even hand over."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

import structlog
from redis.exceptions import RedisClusterException, RedisError

from service import metrics
from service.errors import LimitUsedUp, TooManyRequests
from service.front.asgi import RawHeaders
from service.front.client_address import client_address
from service.metrics import Tally
from service.storage.lines import Lines
from service.storage.loop_script import LoopScript
from service.throttling.counters import by_network
from service.throttling.rules import ThrottleRules
from service.throttling.scripts import CHARGE
from service.throttling.table import BY_NETWORK, Limited
from service.throttling.throttle import LOG_INTERVAL
from service.web.answers import Answer
from service.web.problems import problem_of

log = structlog.get_logger()


class LoopThrottle:
    """Charges a request to a limit of its network. Charges that arrive together share a pipeline,
    and while a network has used up a limit, a flood from there costs Redis nothing."""

    def __init__(self, lines: Lines, rules: ThrottleRules, proxies: int) -> None:
        """
        Args:
            lines: connections to the Redis that has the counters.
            rules: also used in threads, so that each learns what the other finds.
            proxies: how many of them to trust.
        """
        self.is_on = rules.is_on
        self._lines = lines
        self._rules = rules
        self._script = LoopScript(lines, CHARGE)
        self._proxies = proxies
        self._logged_at = 0.0
        self._unthrottled = Tally(metrics.UNTHROTTLED)
        self._throttled = {limit: Tally(metrics.THROTTLED.labels(limit)) for limit in BY_NETWORK}

    def refusal(self, limit: Limited, peer: Any, headers: RawHeaders) -> Answer | None:
        """The response to a client whose network is known to have used up the limit, else None."""
        counter = by_network(limit, client_address(peer, headers, self._proxies))
        try:
            self._rules.check([counter])
        except TooManyRequests as error:
            return self._refuse(limit, error)
        return None

    async def charge(self, limit: Limited, peer: Any, headers: RawHeaders) -> Answer | None:
        """Charge a request; returns the response if the limit is used up. Without Redis, the
        request goes on uncharged."""
        counter = by_network(limit, client_address(peer, headers, self._proxies))
        try:
            self._rules.check([counter])
            call = self._rules.charge([counter])
            self._rules.charged([counter], await self._script.call(*call))
        except TooManyRequests as error:
            return self._refuse(limit, error)
        except (RedisError, RedisClusterException):
            self._note_outage()
        return None

    async def close(self) -> None:
        """Close the connections."""
        await self._lines.close()

    def _refuse(self, limit: Limited, error: TooManyRequests) -> Answer:
        self._throttled[limit].count()
        return _answer(limit, error.amount, error.window, error.retry_after)

    def _note_outage(self) -> None:
        self._unthrottled.count()
        now = time.monotonic()
        if now - self._logged_at > LOG_INTERVAL:
            self._logged_at = now
            log.warning("throttle_unavailable", step="charge")


@lru_cache  # a flood gets the same response again and again
def _answer(limit: str, amount: int, window: int, retry_after: int) -> Answer:
    return problem_of(LimitUsedUp(limit, amount, window, retry_after)).answer()
