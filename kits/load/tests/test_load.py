"""The kit itself: every way answers, and what it costs is counted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kits.generators import crowd
from kits.load import costs as meters
from kits.load import count_targets
from kits.load.scenarios import register
from kits.load.testbed import CATCH, OURS, RECIPE, SELECT, Arena, Way, arena
from kits.scheduled import Plan

# SELECTs, INSERTs that succeeded and hashes of: a new name, the same again, an old one twice
COSTS = {SELECT: (4, 1, 1), CATCH: (0, 1, 4), RECIPE: (0, 1, 3), OURS: (2, 1, 1)}


@pytest.fixture(scope="module")
def testing_arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with arena(tmp_path_factory.mktemp("load"), "testing") as running:
        yield running


@pytest.mark.parametrize("way", COSTS, ids=lambda way: way.key)
def test_every_way_registers_a_name_once_and_its_costs_are_counted(
    testing_arena: Arena, way: Way
) -> None:
    with testing_arena.enter(way, workers=1) as entrant:
        entrant.add_existing(1)
        before = meters.read(entrant)
        statuses = [register(entrant, name) for name in ("bob", "bob", "old0", "old0")]
        spent = meters.read(entrant) - before
        run = crowd(Plan(entrant.port, [(0.0, "carol")] * 8, barrier=True))
    assert statuses == [201, 409, 409, 409]
    assert (spent.selects, spent.inserted, spent.hashes) == COSTS[way]
    assert bool(spent.commands) is (way in (RECIPE, OURS))
    assert run.statuses == {201: 1, 409: 7}


def test_spellings_of_a_name_differ() -> None:
    assert len(set(count_targets.spelled("contested", 200))) == 200
