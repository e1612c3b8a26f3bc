"""A whole run: load, faults, verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from kits.races import deployment, nemesis
from kits.races.history import History
from kits.races.race import Race
from kits.races.registrations.evidence import Violation
from kits.races.registrations.workload import NAMES
from kits.races.workload import Form
from tests.servers import APPLICATION

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is to be done."""

    seed: int
    requests: int  # at least
    faults: Sequence[str] = ()
    seconds: float = float("inf")  # at most, before the verdict
    url: str | None = None  # of a service that runs already: no faults then
    form: Form = NAMES
    application: str = APPLICATION


def run(plan: Plan, output: Path, say: Say) -> tuple[History, list[Violation]]:
    """Carry out a plan.

    Args:
        plan: what is to be done.
        output: a directory for the history and, below it, for data and logs.
        say: hears how far it is, a line at a time.

    Returns:
        What happened, and what of it should not have.
    """
    # Names are new in every run: those of an earlier one are taken.
    prefix = f"r{int(time.time() * 1000):x}x"
    with ExitStack() as stack:
        own = None
        if plan.url is None:
            say("Starting Postgres, Redis, the proxies and gunicorn ...")
            names = plan.form.steps_of.format(prefix=prefix)
            surroundings = deployment.running(output, names, plan.application, plan.form.environ)
            own = stack.enter_context(surroundings)
        target = own or deployment.Elsewhere(plan.url or "")
        history = History(stack.enter_context((output / "history.jsonl").open("w")))
        client = plan.form.client(target.url, history)
        load = plan.form.load(client, plan.seed, prefix)
        stack.callback(load.close)
        started = time.monotonic()

        def is_over() -> bool:
            return time.monotonic() - started > plan.seconds

        if own:
            race = Race(own, load, client, history)
            nemesis.afflict(plan.form, race, plan.faults, is_over, say)
        nemesis.fill_up(load, history, plan.requests, is_over, say)
        say("Finding out what came of it ...")
        return history, plan.form.reach(target, load, client, history)
