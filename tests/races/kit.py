"""A whole run: load, faults, verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.races import nemesis, site, verdict
from tests.races.client import Client
from tests.races.evidence import Violation
from tests.races.history import History
from tests.races.load import Load
from tests.races.race import Race

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is to be done."""

    seed: int
    requests: int  # at least
    faults: Sequence[str] = ()
    seconds: float = float("inf")  # at most, before the verdict
    url: str | None = None  # of a service that runs already: no faults then


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
            own = stack.enter_context(site.running(output, rf"{prefix}\d+n\w?"))
        target = own or site.Elsewhere(plan.url or "")
        history = History(stack.enter_context((output / "history.jsonl").open("w")))
        client = Client(target.url, history)
        load = Load(client, plan.seed, prefix)
        stack.callback(load.close)
        started = time.monotonic()

        def is_over() -> bool:
            return time.monotonic() - started > plan.seconds

        if own:
            nemesis.afflict(Race(own, load, client, history), plan.faults, is_over, say)
        nemesis.fill_up(load, history, plan.requests, is_over, say)
        say("Resolving what is unknown, trying the free names, reading the rows ...")
        return history, verdict.reach(target, load, client, history)
