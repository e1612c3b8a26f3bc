"""The report of the kit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kits.foreign.comparison import Comparison
from kits.report import Report, table

HOW = (
    "Each suite runs as its authors wrote it, once with the sessions of stock Flask (for "
    "Flask-Session, with its own in Redis) and once with Coatcheck's in every application that it "
    "creates. “Writes” counts the scripts that Coatcheck's sessions ran in Redis: a suite with "
    "none creates no session."
)
LONGEST_CAUSE = 120  # characters


@dataclass(frozen=True)
class Row:
    """A suite that was run."""

    key: str
    version: str
    comparison: Comparison
    writes: int


def report(rows: Sequence[Row], asked: Sequence[str]) -> Report:
    """The counts of each suite, its differences, and the verdicts.

    Args:
        asked: the keys of the suites that should have been run.
    """
    result = Report("Foreign suites")
    columns = ("suite", "tests from", "pass with stock", "pass with Coatcheck", "differ", "writes")
    result.section("Counts", HOW, table(columns, [_counts(row) for row in rows]))
    if absent := sorted(set(asked) - {row.key for row in rows}):
        result.section("Not run", ", ".join(absent))
    for row in rows:
        if row.comparison.differences:
            result.section(f"Differences: {row.key}", _differences(row.comparison))
    result.judge(row.comparison.verdict(row.key) for row in rows)
    return result


def _counts(row: Row) -> tuple[str, ...]:
    found = row.comparison
    numbers = (len(found.stock.passed), len(found.ours.passed), len(found.differences), row.writes)
    return (row.key, row.version, *map(str, numbers))


def _differences(comparison: Comparison) -> str:
    columns = ("test", "how it ends", "reason")
    rows = [
        (f"`{found.test}`", _cause(found.outcome.why), found.reason or "**unexplained**")
        for found in comparison.differences
    ]
    return table(columns, rows)


def _cause(why: str) -> str:
    first = (why.splitlines() or ["skipped"])[0]
    return first if len(first) <= LONGEST_CAUSE else f"{first[:LONGEST_CAUSE]} …"
