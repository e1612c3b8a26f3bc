"""One row of the target table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Say = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How long to measure: rounds of so many seconds."""

    rounds: int
    seconds: float


@dataclass(frozen=True)
class Verdict:
    """What was asked for, what was measured, and whether that is enough."""

    what: str
    target: str
    measured: str
    passed: bool
