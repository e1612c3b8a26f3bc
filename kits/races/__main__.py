"""The race kit: `python -m kits.races`, for names; `python -m kits.races sessions`, for sessions.

Starts a Postgres, a Redis and a gunicorn with several workers of its own, drives registrations or
sessions at them, breaks one thing after the other, heals it, and checks what must be true of the
history all the same. After Jepsen (https://jepsen.io): load, nemesis, history, checker.

    caller, client, crowd, load who asks, and for what
    faults, steps, outages,
    releases                    what breaks; nemesis: when
    proxy, switchboard, wire    how it breaks at exactly one step
    site                        what all of it runs on
    history, evidence, checker  what happened, and what must be true of it
    verdict                     what is asked at the end
    form                        what sets one kind of race apart; names, sessions/

With --url it races a service that runs elsewhere, such as a team's own staging, and breaks nothing.
Most of the accounts stay there; give it a service without throttling, or be content with refusals.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from kits.races import chart, summary
from kits.races.deployment import NotHealed
from kits.races.registrations.workload import NAMES
from kits.races.run import Plan, run
from kits.races.sessions.workload import SESSIONS
from kits.races.workload import Form

FORMS = {form.name: form for form in (NAMES, SESSIONS)}


def main() -> int:
    """Run; returns 0 only if nothing was violated."""
    # So that everything that was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = _options()
    output = options.output or Path(tempfile.mkdtemp(prefix="coatcheck-races-"))
    output.mkdir(parents=True, exist_ok=True)
    form = FORMS[options.form]
    faults = () if options.url else _faults(form, options.faults, options.seed)
    requests = options.requests or form.requests
    plan = Plan(options.seed, requests, faults, options.seconds, options.url, form)
    print(f"Seed {plan.seed}, {len(faults)} faults, output in {output}")
    try:
        history, violations = run(plan, output, say=lambda line: print(line, flush=True))
    except NotHealed as problem:
        print(f"The service is {problem}. What happened so far: {output}")
        return 1
    except KeyboardInterrupt:
        print(f"Stopped. What happened so far: {output}")
        return 130
    chart.draw(history, form.title, output / "history.png")
    print(f"\n{summary.summary(history, violations, form)}\n")
    print(f"History: {output / 'history.jsonl'}\nPicture: {output / 'history.png'}")
    print(f"{len(violations)} violations")
    return 1 if violations else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m kits.races", description="Race, break things, check."
    )
    parser.add_argument("form", nargs="?", choices=FORMS, default="names", help="what is raced")
    parser.add_argument("--requests", type=int, help="at least so many")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="at most so long")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of every choice")
    parser.add_argument("--faults", default="all", help="all, none, or by their names")
    parser.add_argument("--output", type=Path, help="a directory; a temporary one if not given")
    parser.add_argument("--url", help="of a service that runs already; without faults")
    options = parser.parse_args()
    known = FORMS[options.form].faults
    if unknown := set(_faults(FORMS[options.form], options.faults, 0)) - set(known):
        there = f"there are {', '.join(known)}"
        parser.error(f"no such fault: {', '.join(sorted(unknown))}; {there}")
    return options


def _faults(form: Form, chosen: str, seed: int) -> list[str]:
    """Those that are named, in that order; for `all` each once and some again, shuffled, but for
    those that the form begins with."""
    if chosen == "none":
        return []
    if chosen != "all":
        return chosen.split(",")
    random = Random(seed)
    others = [fault for fault in form.faults if fault not in form.first]
    again = random.choices(others, k=max(0, form.fault_count - len(form.faults)))
    faults = [*others, *again]
    random.shuffle(faults)
    return [*sorted(form.first), *faults]


if __name__ == "__main__":
    sys.exit(main())
