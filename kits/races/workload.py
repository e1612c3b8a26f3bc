"""What distinguishes a race for names from a race of sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kits.races.engine_faults import Inject
from kits.races.history import History
from kits.races.race import Race
from kits.races.violation import Violation


def _nothing(race: Race) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Workload:
    """Who takes part in a race, what breaks, and what must hold."""

    name: str
    title: str
    requests: int  # in a run of the default length
    fault_count: int  # likewise
    client: Callable[..., Any]
    load: Callable[..., Any]
    faults: Mapping[str, Inject]
    rules: Sequence[Callable[..., Any]]
    conclude: Callable[..., list[Violation]]  # the final requests and the check
    details: Callable[[History], list[str]]  # for the report
    name_pattern: str  # the names that proxy rules can refer to, with {prefix}
    alone: frozenset[str] = frozenset()  # faults that allow no other load
    first: frozenset[str] = frozenset()  # faults to begin with
    before: Callable[[Race], None] = _nothing  # runs before each fault
    environ: Mapping[str, str] = field(default_factory=dict)
