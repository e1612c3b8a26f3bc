"""One row of the target table, and what all who judge have in common."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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


def add_options(parser: argparse.ArgumentParser, output: str) -> None:
    """How long to measure, and where to write."""
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load in each round")
    parser.add_argument("--output", type=Path, default=Path(output))


def say(line: str) -> None:
    """A line of progress, with what else the machine has to do: times are worth as much."""
    print(f"{time.strftime('%H:%M:%S')} load {os.getloadavg()[0]:.1f}  {line}", flush=True)
