"""The report that every kit writes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from kits.report import Report, number, responses, table
from kits.verdict import Verdict


def test_a_report_passes_only_if_every_verdict_does(tmp_path: Path) -> None:
    report = Report("Some kit")
    report.section("Requests", "All of them.")
    report.judge([Verdict("a", "good", "fine", True)])
    assert report.passed
    report.judge([Verdict("b", "good", "poor", False)])
    assert not report.passed
    report.publish(tmp_path / "report.md")
    text = (tmp_path / "report.md").read_text()
    assert text.startswith("# Some kit\n\n## Requests\n\nAll of them.\n\n## Verdicts\n\n")
    assert "| a | good | fine | pass |\n| b | good | poor | FAIL |" in text


def test_a_report_without_verdicts_passes_and_has_no_table_of_them() -> None:
    report = Report("Some kit")
    assert report.passed
    assert str(report) == "# Some kit\n"


def test_a_cell_stays_in_its_row_whatever_it_holds() -> None:
    assert table(("a", "b"), [("one\ntwo", "x | y")]).splitlines()[-1] == "| one two | x \\| y |"


def test_responses_are_counted_by_status_and_0_stands_for_lost() -> None:
    assert responses(Counter({409: 199, 201: 1, 0: 2})) == "2 × lost, 1 × 201, 199 × 409"  # noqa: RUF001


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1234.5, "1234"), (12.345, "12.3"), (0.01234, "0.0123")]
)
def test_numbers_have_three_significant_digits(value: float, text: str) -> None:
    assert number(value) == text
