"""Race registrations or sessions while things break, and check the history.

python -m kits.races                   registrations: one winner, whatever breaks
python -m kits.races sessions          sessions: revoked is revoked, no write is lost
python -m kits.races --url URL         race a service that runs elsewhere, and break nothing

The kit starts a Postgres, a Redis and a gunicorn with several workers, sends registrations or
session requests, breaks one thing after another, heals it, and checks what must be true of the
history regardless. This is the method of Jepsen (https://jepsen.io): load, nemesis, history,
checker.

With --url, most of the new accounts remain. Turn the service's throttling off, or expect 429s.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from random import Random

from kits.command import exit_on_sigterm
from kits.races import chart, summary
from kits.races.deployment import NotRecovered
from kits.races.registrations.workload import REGISTRATIONS
from kits.races.run import Plan, run
from kits.races.sessions.workload import SESSIONS
from kits.races.workload import Workload

WORKLOADS = {workload.name: workload for workload in (REGISTRATIONS, SESSIONS)}


def main() -> int:
    """Run; returns 0 only if no rule was violated."""
    exit_on_sigterm()
    options = _options()
    output = options.output
    output.mkdir(parents=True, exist_ok=True)
    workload = WORKLOADS[options.workload]
    faults = () if options.url else _faults(workload, options.faults, options.seed)
    requests = options.requests or workload.requests
    plan = Plan(workload, options.seed, requests, faults, options.seconds, options.url)
    print(f"Seed {plan.seed}, {len(faults)} faults, output in {output}")
    try:
        history, violations = run(plan, output, say=lambda line: print(line, flush=True))
    except NotRecovered as problem:
        print(f"The service is {problem}. What happened so far: {output}")
        return 1
    except KeyboardInterrupt:
        print(f"Stopped. What happened so far: {output}")
        return 130
    chart.draw(history, workload.title, output / "history.png")
    report = summary.report(history, violations, workload)
    report.publish(output / "report.md")
    print(f"History: {output / 'history.jsonl'}\nChart: {output / 'history.png'}")
    return 0 if report.passed else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m kits.races",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = REGISTRATIONS.name
    parser.add_argument("workload", nargs="?", choices=WORKLOADS, default=default)
    parser.add_argument("--requests", type=int, help="send at least this many")
    most = "stop the load after this time"
    parser.add_argument("--seconds", type=float, default=float("inf"), help=most)
    seed = "of every random choice"
    parser.add_argument("--seed", type=int, default=int(time.time()), help=seed)
    parser.add_argument("--faults", default="all", help="all, none, or names separated by commas")
    parser.add_argument("--output", type=Path, default=Path(".data/races"), help="a directory")
    parser.add_argument("--url", help="of a service that runs elsewhere; it gets no faults")
    options = parser.parse_args()
    workload = WORKLOADS[options.workload]
    if unknown := set(_faults(workload, options.faults, 0)) - set(workload.faults):
        known = ", ".join(workload.faults)
        parser.error(f"no such fault: {', '.join(sorted(unknown))}; there are {known}")
    return options


def _faults(workload: Workload, chosen: str, seed: int) -> list[str]:
    """The named faults in that order. For `all`: first those that the workload begins with, then
    each of the others once and some of them again, shuffled."""
    if chosen == "none":
        return []
    if chosen != "all":
        return chosen.split(",")
    random = Random(seed)
    others = [fault for fault in workload.faults if fault not in workload.first]
    again = random.choices(others, k=max(0, workload.fault_count - len(workload.faults)))
    faults = [*others, *again]
    random.shuffle(faults)
    return [*sorted(workload.first), *faults]


if __name__ == "__main__":
    sys.exit(main())
