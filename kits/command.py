"""What the command lines of the kits share."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Say = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How long to measure: a number of rounds, and the seconds of each load in a round."""

    rounds: int
    seconds: float


def add_effort_options(parser: argparse.ArgumentParser, output: str) -> None:
    """Add options that say how long to measure and where to write."""
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load in each round")
    parser.add_argument("--output", type=Path, default=Path(output), help="a directory")


def say(line: str) -> None:
    """Print a line of progress with the load of the machine, which shows how far to trust times."""
    print(f"{time.strftime('%H:%M:%S')} load {os.getloadavg()[0]:.1f}  {line}", flush=True)


def exit_on_sigterm() -> None:
    """Let SIGTERM unwind the stack, so that the kit ends every process that it has started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
