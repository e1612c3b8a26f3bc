"""Waiting for what will happen, instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], within: float = 10.0) -> T:
    """What `condition` returns once it is true; fails after `within` seconds."""
    deadline = time.monotonic() + within
    while not (result := condition()):
        assert time.monotonic() < deadline, f"did not happen within {within} s"
        time.sleep(0.005)
    return result
