"""The nemesis: one fault after the other, each while requests are under way, each healed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from kits.races import summary
from kits.races.history import History
from kits.races.load import Crowd
from kits.races.race import Missed, Race
from kits.races.workload import Form

PROGRESS_INTERVAL = 2.0


def afflict(
    form: Form,
    race: Race,
    kinds: Sequence[str],
    is_over: Callable[[], bool],
    say: Callable[[str], None],
) -> None:
    """Inject faults, and before each do what the form does undisturbed.

    Args:
        form: what is raced.
        race: what takes part.
        kinds: names of faults, in their order.
        is_over: asked before each whether to stop.
        say: hears how far it is.

    Raises:
        NotHealed: the service did not become well again.
    """
    for number, kind in enumerate(kinds, 1):
        if is_over():
            return
        form.before(race)
        load = nullcontext() if kind in form.alone else race.load.running()
        with race.history.fault(kind) as missed, load:
            try:
                form.faults[kind](race)
            except Missed as reason:
                missed.append(str(reason))
        race.site.await_healthy(race.client)
        say(summary.progress(race.history, f"{number}/{len(kinds)} {kind}"))


def fill_up(
    load: Crowd,
    history: History,
    requests: int,
    is_over: Callable[[], bool],
    say: Callable[[str], None],
) -> None:
    """Have undisturbed rounds until there were so many requests."""
    said = 0.0
    while len(history.operations) < requests and not is_over():
        load.round()
        if time.monotonic() - said > PROGRESS_INTERVAL:
            said = time.monotonic()
            say(summary.progress(history, "load"))
