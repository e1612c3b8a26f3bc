"""Attack a deployment of the service as strangers would.

python -m kits.attacks                  every attack; exits with 1 if one succeeds
python -m kits.attacks guesses full     only some

Each attack starts a deployment of its own, behind an imagined proxy. --rounds and --seconds are for
speed alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from kits.attacks.deployment import Deployment, deploy
from kits.attacks.full import full
from kits.attacks.guesses import guesses
from kits.attacks.memory import memory
from kits.attacks.secrets import secrets
from kits.attacks.speed import speed
from kits.attacks.timing import timing
from kits.command import Effort, Say, add_effort_options, exit_on_sigterm, say
from kits.engines import WORKERS
from kits.generators import LoadError
from kits.report import Report
from kits.verdict import Verdict

Attack = Callable[[Effort, Say], Iterator[Verdict]]


def main() -> int:
    """Run what the command line asks for; returns the exit status."""
    exit_on_sigterm()
    options = _options()
    options.output.mkdir(parents=True, exist_ok=True)
    effort = Effort(options.rounds, options.seconds)
    try:
        return conclude(perform(options.attacks or list(ATTACKS), effort, say), options.output)
    except LoadError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2


def perform(attacks: Sequence[str], effort: Effort, say: Say) -> Iterator[Verdict]:
    """Run one attack after another."""
    for attack in attacks:
        for verdict in ATTACKS[attack](effort, say):
            say(str(verdict))
            yield verdict


def conclude(verdicts: Iterator[Verdict], output: Path) -> int:
    """Write the report; returns the exit status."""
    report = Report("Attacks")
    report.judge(verdicts)
    report.publish(output / "report.md")
    return 0 if report.passed else 1


def _deployed(
    attack: Callable[[Deployment, Say], Iterator[Verdict]],
    workers: int = WORKERS,
    **settings: str,
) -> Attack:
    """The attack on a new deployment with these settings."""

    def run(_: Effort, say: Say) -> Iterator[Verdict]:
        with deploy(workers, **settings) as deployment:
            yield from attack(deployment, say)

    return run


ATTACKS: dict[str, Attack] = {
    "guesses": _deployed(guesses),
    "timing": _deployed(timing, workers=1, COATCHECK_THROTTLING="off"),
    "full": _deployed(full),
    "memory": _deployed(memory),
    "secrets": _deployed(secrets),
    "speed": speed,
}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m kits.attacks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("attacks", nargs="*", metavar="attack", help=f"of {', '.join(ATTACKS)}")
    add_effort_options(parser, ".data/attacks")
    options = parser.parse_args()
    for attack in options.attacks:
        if attack not in ATTACKS:
            parser.error(f"there is no attack {attack!r}; there are {', '.join(ATTACKS)}")
    for name in ("rounds", "seconds"):
        is_given = getattr(options, name) != parser.get_default(name)
        if is_given and options.attacks and "speed" not in options.attacks:
            parser.error(f"--{name} is for speed alone")
    return options


if __name__ == "__main__":
    sys.exit(main())
