"""A whole run: load and faults, final requests, check."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from kits.command import Say
from kits.races import nemesis
from kits.races.deployment import RemoteDeployment, start_deployment
from kits.races.history import History
from kits.races.race import Race
from kits.races.violation import Violation
from kits.races.workload import Workload
from tests.servers import APPLICATION


@dataclass(frozen=True)
class Plan:
    """What to run."""

    workload: Workload
    seed: int
    requests: int  # at least
    faults: Sequence[str] = ()
    seconds: float = float("inf")  # at most, before the final requests
    url: str | None = None  # of a service that runs elsewhere; it gets no faults
    application: str = APPLICATION


def run(plan: Plan, output: Path, say: Say) -> tuple[History, list[Violation]]:
    """Carry out a plan.

    Args:
        plan: what to run.
        output: a directory for the history and the logs.
        say: receives a line of progress at a time.

    Returns:
        What happened, and what of it should not have.
    """
    # New names for each run, because those of an earlier run are taken.
    prefix = f"r{int(time.time() * 1000):x}x"
    workload = plan.workload
    with ExitStack() as stack:
        own = None
        if plan.url is None:
            say("Starting Postgres, Redis, the proxy and gunicorn ...")
            names = workload.name_pattern.format(prefix=prefix)
            started = start_deployment(output, names, plan.application, workload.environ)
            own = stack.enter_context(started)
        target = own or RemoteDeployment(plan.url or "")
        history = History(stack.enter_context((output / "history.jsonl").open("w")))
        client = workload.client(target.url, history)
        load = workload.load(client, plan.seed, prefix)
        stack.callback(load.close)
        began = time.monotonic()

        def is_over() -> bool:
            return time.monotonic() - began > plan.seconds

        if own:
            race = Race(own, load, client, history)
            nemesis.inject_faults(workload, race, plan.faults, is_over, say)
        nemesis.add_requests(load, history, plan.requests, is_over, say)
        say("Sending the final requests, and checking the history ...")
        return history, workload.conclude(target, load, client, history)
