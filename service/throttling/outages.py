"""The log of the moments in which Redis did not answer."""

from __future__ import annotations

import math
import time

import structlog

log = structlog.get_logger()

INTERVAL = 10.0  # seconds between two lines about the same outage


class OutageLog:
    """One line now and then, for all requests of a worker."""

    def __init__(self) -> None:
        self._logged_at = -math.inf

    def note(self, step: str) -> None:
        """Log that Redis did not answer, unless that was logged just now.

        Args:
            step: what it was asked to do.
        """
        now = time.monotonic()
        if now - self._logged_at > INTERVAL:
            self._logged_at = now
            log.warning("throttle_unavailable", step=step)
