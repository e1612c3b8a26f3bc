"""The load kit itself: every strategy registers names, and its costs are counted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kits.generators import scheduled
from kits.load import count_targets
from kits.load.costs import read
from kits.load.deployment import CATCH, COATCHECK, RECIPE, SELECT, Engines, Strategy, start_engines
from kits.load.scenarios import register
from kits.scheduled import Schedule

# SELECTs, successful INSERTs and hashes for: a new name, the same again, an old one twice
COSTS = {SELECT: (4, 1, 1), CATCH: (0, 1, 4), RECIPE: (0, 1, 3), COATCHECK: (3, 1, 1)}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    with start_engines(tmp_path_factory.mktemp("load"), "testing") as started:
        yield started


@pytest.mark.parametrize("strategy", COSTS, ids=lambda strategy: strategy.key)
def test_every_strategy_registers_a_name_once_and_its_costs_are_counted(
    running: Engines, strategy: Strategy
) -> None:
    with running.deploy(strategy, workers=1) as deployment:
        deployment.add_existing(1)
        before = read(deployment)
        statuses = [register(deployment, name) for name in ("bob", "bob", "old0", "old0")]
        spent = read(deployment) - before
        race = scheduled(Schedule(deployment.url, [(0.0, "carol")] * 8, barrier=True))
    assert statuses == [201, 409, 409, 409]
    assert (spent.selects, spent.inserted, spent.hashes) == COSTS[strategy]
    assert bool(spent.commands) is (strategy in (RECIPE, COATCHECK))
    assert race.statuses == {201: 1, 409: 7}


def test_spellings_of_a_name_differ() -> None:
    assert len(set(count_targets.spelled("contested", 200))) == 200
