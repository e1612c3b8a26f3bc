"""Redis in the three forms in which the service may find it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.embedded import RedisEngine
from tests.redis_engines import Group
from tests.storage.lines import KEY, One, Several


@pytest.fixture(params=["redis_engine", "sentinel_engine", "cluster_engine"])
def place(request: pytest.FixtureRequest) -> One | Several:
    engine = request.getfixturevalue(request.param)
    found = One(engine) if isinstance(engine, RedisEngine) else Several(engine)
    found.client().flushall()
    found.client().set(KEY, "value")
    return found


@pytest.fixture(params=["sentinel_engine", "cluster_engine"])
def group(request: pytest.FixtureRequest) -> Iterator[Group]:
    """A master with a replica to take its place; whole again afterwards."""
    group: Group = request.getfixturevalue(request.param)
    yield group
    group.heal()
