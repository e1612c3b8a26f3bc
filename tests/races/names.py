"""The race for names: one wins, whatever breaks."""

from __future__ import annotations

from contextlib import suppress

from tests.races import report, verdict
from tests.races.checker import RULES
from tests.races.client import Client
from tests.races.faults import ALONE, FAULTS
from tests.races.form import Form
from tests.races.load import Load
from tests.races.race import Missed, Race


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
    reach=verdict.reach,
    more=report.costs,
    steps_of=r"{prefix}\d+n\w?",
    alone=frozenset(ALONE),
    before=_count_a_herd,
)
