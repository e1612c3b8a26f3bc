"""Compares a suite's run with stock sessions and its run with Coatcheck's. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kits.foreign.run import Outcome, Run
from kits.verdict import Verdict

TARGET = "as many pass as with stock, each difference explained"


@dataclass(frozen=True)
class Difference:
    """A test that passes with stock sessions, and does not with Coatcheck's."""

    test: str
    outcome: Outcome
    reason: str  # empty if nobody has explained it


@dataclass(frozen=True)
class Comparison:
    """Two runs of one suite."""

    stock: Run
    ours: Run
    differences: Sequence[Difference]
    stale: Sequence[str] = field(default=())  # explained tests that do not differ

    def verdict(self, suite: str) -> Verdict:
        """Whether the suite shows nothing but what is explained."""
        passed = len(self.stock.passed)
        problems = [
            *(f"unexplained: {found.test}" for found in self.differences if not found.reason),
            *(f"stale: {test}" for test in self.stale),
        ]
        if self.stock.trouble:
            problems.append(f"with stock, {self.stock.trouble}")
        if self.ours.trouble:
            problems.append(f"with Coatcheck, {self.ours.trouble}")
        if not passed:
            problems.append("no test passes with stock")
        counts = f"{len(self.ours.passed)} pass, {passed} with stock"
        return Verdict(suite, TARGET, "; ".join([counts, *problems]), not problems)


def compare(stock: Run, ours: Run, reasons: Mapping[str, str]) -> Comparison:
    """Find the differences between two runs.

    Args:
        reasons: why known differences are as they are, by test. A test without its parameters
            stands for all of them.
    """
    differences, used = [], set()
    for test in sorted(stock.passed - ours.passed):
        key = next((key for key in (test, test.partition("[")[0]) if key in reasons), None)
        used.add(key)
        outcome = ours.outcomes.get(test, Outcome("missing", "it did not run"))
        differences.append(Difference(test, outcome, reasons[key] if key else ""))
    return Comparison(stock, ours, differences, sorted(reasons.keys() - used))


def read_reasons(parsed: Mapping[str, Any], suite: str) -> dict[str, str]:
    """The reasons for one suite's differences, by test, from the parsed differences.toml.

    Raises:
        ValueError: a test is listed twice, or a reason is missing.
    """
    reasons: dict[str, str] = {}
    for entry in parsed.get(suite, []):
        for test in entry["tests"]:
            if test in reasons or not entry.get("reason", "").strip():
                raise ValueError(f"{suite}: {test} needs one reason")
            reasons[test] = entry["reason"]
    return reasons
