"""Waiting for conditions instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], within: float = 10.0) -> T:
    """What `condition` returns once it is true; fails after `within` seconds."""
    deadline = time.monotonic() + within
    pause = 0.002
    while not (result := condition()):
        assert time.monotonic() < deadline, f"did not happen within {within} s"
        time.sleep(pause)
        pause = min(1.2 * pause, 0.05)  # asking takes time from what is waited for
    return result


def elapse(seconds: float) -> None:
    """Let time pass, for what depends on nothing else."""
    time.sleep(seconds)
