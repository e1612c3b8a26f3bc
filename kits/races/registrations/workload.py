"""The race of registrations: one client wins each name, whatever breaks."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

from kits.races.history import History
from kits.races.race import Missed, Race
from kits.races.registrations import final_checks
from kits.races.registrations.checker import RULES
from kits.races.registrations.client import RegistrationClient
from kits.races.registrations.faults import ALONE, FAULTS
from kits.races.registrations.load import RegistrationLoad
from kits.races.workload import Workload
from kits.report import table


def _count_a_herd(race: Race) -> None:
    with suppress(Missed):
        race.counted_herd()


def _costs(history: History) -> list[str]:
    if not history.costs:
        return ["No herd was counted."]
    hashes = Counter("not published" if c.hashes is None else c.hashes for c in history.costs)
    inserts = Counter(cost.inserts for cost in history.costs)
    rows = [["hashes", _listed(hashes)], ["INSERTs", _listed(inserts)]]
    words = f"{len(history.costs)} herds on new names were counted while nothing else ran."
    return [words, table(("what", "count: herds"), rows)]


def _listed(counts: Counter[object]) -> str:
    return ", ".join(f"{count}: {herds}" for count, herds in counts.items())


REGISTRATIONS = Workload(
    name="registrations",
    title="Registrations",
    requests=10_000,
    fault_count=36,
    client=RegistrationClient,
    load=RegistrationLoad,
    faults=FAULTS,
    rules=RULES,
    conclude=final_checks.conclude,
    details=_costs,
    name_pattern=r"{prefix}\d+n\w?",
    alone=frozenset(ALONE),
    before=_count_a_herd,
)
