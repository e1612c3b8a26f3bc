"""The race for names: one wins, whatever breaks."""

from __future__ import annotations

from contextlib import suppress

from kits.races import summary
from kits.races.race import Missed, Race
from kits.races.registrations import final_checks
from kits.races.registrations.checker import RULES
from kits.races.registrations.client import Client
from kits.races.registrations.faults import ALONE, FAULTS
from kits.races.registrations.load import Load
from kits.races.workload import Form


def _count_a_herd(race: Race) -> None:
    with suppress(Missed):
        race.counted_herd()


NAMES = Form(
    name="names",
    title="Registrations",
    requests=10_000,
    fault_count=36,
    client=Client,
    load=Load,
    faults=FAULTS,
    rules=RULES,
    reach=final_checks.reach,
    more=summary.costs,
    steps_of=r"{prefix}\d+n\w?",
    alone=frozenset(ALONE),
    before=_count_a_herd,
)
