"""What makes a race for names another than one of sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kits.races.engine_faults import Inject
from kits.races.history import History
from kits.races.race import Race
from kits.races.registrations.evidence import Violation


def _nothing(race: Race) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Form:
    """A kind of race: who takes part, what breaks, and what must hold."""

    name: str
    title: str
    requests: int  # in a run of the usual length
    fault_count: int  # likewise
    client: Callable[..., Any]
    load: Callable[..., Any]
    faults: Mapping[str, Inject]
    rules: Sequence[Callable[..., Any]]
    reach: Callable[..., list[Violation]]  # the verdict
    more: Callable[[History], list[str]]  # a table of its own
    steps_of: str  # the names that the proxies tell apart, with {prefix}
    alone: frozenset[str] = frozenset()  # faults that want no other load
    first: frozenset[str] = frozenset()  # faults to begin with
    before: Callable[[Race], None] = _nothing  # each fault
    environ: Mapping[str, str] = field(default_factory=dict)
