"""The nemesis: injects one fault after another while requests are in flight, and heals each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from kits.command import Say
from kits.races.history import History
from kits.races.load import Load
from kits.races.race import Missed, Race
from kits.races.summary import progress
from kits.races.workload import Workload

PROGRESS_INTERVAL = 2.0


def inject_faults(
    workload: Workload,
    race: Race,
    kinds: Sequence[str],
    is_over: Callable[[], bool],
    say: Say,
) -> None:
    """Inject faults, and let the workload measure something before each.

    Args:
        workload: what is raced.
        race: what takes part.
        kinds: the names of the faults, in order.
        is_over: whether to stop; asked before each fault.
        say: receives a line of progress at a time.

    Raises:
        NotRecovered: the service did not recover from a fault.
    """
    for number, kind in enumerate(kinds, 1):
        if is_over():
            return
        workload.before(race)
        load = nullcontext() if kind in workload.alone else race.load.running()
        with race.history.fault(kind) as missed, load:
            try:
                workload.faults[kind](race)
            except Missed as reason:
                missed.append(str(reason))
        race.deployment.await_ready(race.client)
        say(progress(race.history, f"{number}/{len(kinds)} {kind}"))


def add_requests(
    load: Load, history: History, requests: int, is_over: Callable[[], bool], say: Say
) -> None:
    """Run rounds without faults until the history holds enough requests."""
    said = 0.0
    while len(history.operations) < requests and not is_over():
        load.round()
        if time.monotonic() - said > PROGRESS_INTERVAL:
            said = time.monotonic()
            say(progress(history, "load"))
