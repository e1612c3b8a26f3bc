"""What one row of the command line yields: results side by side, words and verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kits.bench.workloads import Result
from kits.command import Verdict
from kits.load.comparison_report import TIMES, number


@dataclass(frozen=True)
class Section:
    """A part of the report. Ratios are to the first result."""

    key: str
    title: str
    results: Sequence[Result]
    verdicts: Sequence[Verdict] = ()
    words: Sequence[str] = ()


def as_fast(ours: Result, least: float, theirs: Result) -> Verdict:
    """Whether ours does at least so many times the requests a second that theirs does."""
    ratio = ours.median.rate / theirs.median.rate
    measured = f"{ratio:.2f}: {number(ours.median.rate)}/s to {number(theirs.median.rate)}/s"
    return Verdict(ours.title, f"≥ {least} {TIMES} {theirs.title}", measured, ratio >= least)


def as_prompt(ours: Result, most: float, theirs: Result) -> Verdict:
    """Whether the p99 of ours is at most so many times that of theirs."""
    ratio = ours.median.p99 / theirs.median.p99
    measured = f"{ratio:.2f}: {number(ours.median.p99)} ms to {number(theirs.median.p99)} ms"
    target = f"p99 ≤ {most} {TIMES} that of {theirs.title}"
    return Verdict(ours.title, target, measured, ratio <= most)
