"""The race kit: `python -m tests.races`.

Starts a Postgres, a Redis and a gunicorn with several workers of its own, drives registrations at
them, breaks one thing after the other, heals it, and checks what must be true of the history all
the same. After Jepsen (https://jepsen.io): load, nemesis, history, checker.

    client, load               who asks, and for what
    faults, steps, outages     what breaks; nemesis: when
    proxy, switchboard, wire   how it breaks at exactly one step
    site                       what all of it runs on
    history, evidence, checker what happened, and what must be true of it
    verdict                    what is asked at the end

With --url it races a service that runs elsewhere, such as a team's own staging, and breaks nothing.
The accounts stay there; give it a service without throttling, or be content with refusals.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from tests.races import picture, report
from tests.races.faults import FAULTS
from tests.races.kit import Plan, run
from tests.races.site import NotHealed

REQUESTS = 10_000
FAULT_COUNT = 36


def main() -> int:
    """Run; returns 0 only if nothing was violated."""
    # So that everything that was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = _options()
    output = options.output or Path(tempfile.mkdtemp(prefix="coatcheck-races-"))
    output.mkdir(parents=True, exist_ok=True)
    faults = () if options.url else _faults(options.faults, options.seed)
    plan = Plan(options.seed, options.requests, faults, options.seconds, options.url)
    print(f"Seed {plan.seed}, {len(faults)} faults, output in {output}")
    try:
        history, violations = run(plan, output, say=lambda line: print(line, flush=True))
    except NotHealed as problem:
        print(f"The service is {problem}. What happened so far: {output}")
        return 1
    except KeyboardInterrupt:
        print(f"Stopped. What happened so far: {output}")
        return 130
    picture.draw(history, output / "history.png")
    print(f"\n{report.summary(history, violations)}\n")
    print(f"History: {output / 'history.jsonl'}\nPicture: {output / 'history.png'}")
    print(f"{len(violations)} violations")
    return 1 if violations else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.races", description="Race registrations, break things, check."
    )
    parser.add_argument("--requests", type=int, default=REQUESTS, help="at least so many")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="at most so long")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of every choice")
    parser.add_argument("--faults", default="all", help=f"all, none, or of {', '.join(FAULTS)}")
    parser.add_argument("--output", type=Path, help="a directory; a temporary one if not given")
    parser.add_argument("--url", help="of a service that runs already; without faults")
    options = parser.parse_args()
    if unknown := set(_faults(options.faults, 0)) - set(FAULTS):
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    return options


def _faults(chosen: str, seed: int) -> list[str]:
    """Those that are named, in that order; for `all` each once and some again, shuffled."""
    if chosen == "none":
        return []
    if chosen != "all":
        return chosen.split(",")
    random = Random(seed)
    faults = [*FAULTS, *random.choices(list(FAULTS), k=max(0, FAULT_COUNT - len(FAULTS)))]
    random.shuffle(faults)
    return faults


if __name__ == "__main__":
    sys.exit(main())
