"""A violation of a rule, and the verdict on each rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kits.verdict import Verdict

SHOWN = 5


@dataclass(frozen=True)
class Violation:
    """A rule that was violated, for which account, and how."""

    rule: str
    name: str
    what: str


def verdicts(
    rules: Sequence[Callable[..., Any]], violations: Sequence[Violation]
) -> Iterator[Verdict]:
    """The verdict on each rule, with its first violations."""
    for rule in rules:
        found = [each for each in violations if each.rule == rule.__name__]
        first = "; ".join(f"{each.name}: {each.what}" for each in found[:SHOWN])
        measured = f"{len(found)}: {first}" if found else "0"
        yield Verdict(rule.__name__, "no violation", measured, not found)
