"""Attack the service, and report what an attacker gets.

python -m kits.attacks timing    whether the time of a login tells which names exist
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from kits.attacks import timing
from kits.command import exit_on_sigterm, say
from kits.report import Report

ATTACKS = {"timing": timing.attack}


def main() -> int:
    """Make the attacks of the command line; returns the exit status."""
    exit_on_sigterm()
    options = _options()
    options.output.mkdir(parents=True, exist_ok=True)
    report = Report("Attacks")
    for name in options.attacks or ATTACKS:
        with tempfile.TemporaryDirectory(prefix="attack-") as directory:
            for verdict in ATTACKS[name](Path(directory), options.rounds, say):
                say(str(verdict))
                report.judge([verdict])
    report.publish(options.output / "attacks.md")
    return 0 if report.passed else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m kits.attacks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("attacks", nargs="*", metavar="attack", help=f"of {', '.join(ATTACKS)}")
    parser.add_argument("--rounds", type=int, default=200, help="requests of each kind")
    parser.add_argument("--output", type=Path, default=Path(".data/attacks"), help="a directory")
    options = parser.parse_args()
    for name in options.attacks:
        if name not in ATTACKS:
            parser.error(f"there is no attack {name!r}")
    return options


if __name__ == "__main__":
    sys.exit(main())
