"""The outcome of one row of the command line: results side by side, notes and verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kits.bench.measurement import Result
from kits.report import TIMES, number, table
from kits.verdict import Verdict

COLUMNS = {
    "rate": "requests/s",
    "p50": "p50 ms",
    "p99": "p99 ms",
    "workers": "workers' CPU µs",
    "redis": "Redis' CPU µs",
    "postgres": "Postgres' CPU µs",
    "commands": "Redis commands",
    "share": "load's % of the machine",
    "others": "others' %",
}


@dataclass(frozen=True)
class Section:
    """A part of the report; ratios are to the first result."""

    key: str
    title: str
    results: Sequence[Result]
    verdicts: Sequence[Verdict] = ()
    notes: Sequence[str] = ()

    def table(self) -> str:
        """The medians, a row for each result."""
        first = self.results[0]
        rows = []
        for result in self.results:
            cells = [cell(getattr(result.median, quantity)) for quantity in COLUMNS]
            ratio = result.median.rate / first.median.rate
            rows.append([result.title, *cells, f"{ratio:.2f}"])
        return table(["", *COLUMNS.values(), f"times {first.title}"], rows)


def cell(value: float) -> str:
    """A number, or nothing if it is not known."""
    return "" if math.isnan(value) else number(value)


def at_least(ours: Result, least: float, theirs: Result) -> Verdict:
    """Judge whether ours answers at least `least` times as many requests a second as theirs."""
    ratio = ours.median.rate / theirs.median.rate
    measured = f"{ratio:.2f}: {number(ours.median.rate)}/s to {number(theirs.median.rate)}/s"
    return Verdict(ours.title, f"≥ {least} {TIMES} {theirs.title}", measured, ratio >= least)


def as_prompt(ours: Result, most: float, theirs: Result) -> Verdict:
    """Judge whether the p99 of ours is at most `most` times that of theirs."""
    ratio = ours.median.p99 / theirs.median.p99
    measured = f"{ratio:.2f}: {number(ours.median.p99)} ms to {number(theirs.median.p99)} ms"
    target = f"p99 ≤ {most} {TIMES} that of {theirs.title}"
    return Verdict(ours.title, target, measured, ratio <= most)
