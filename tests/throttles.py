"""Throttles for tests."""

from __future__ import annotations

from redis import Redis

from service.throttling.rules import ThrottleRules
from service.throttling.throttle import Throttle

UNTHROTTLED = Throttle(Redis(), ThrottleRules({}))  # which never connects
