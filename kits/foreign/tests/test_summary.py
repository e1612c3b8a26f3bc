"""The report of the kit."""

from __future__ import annotations

from kits.foreign.comparison import compare
from kits.foreign.run import Outcome, Run
from kits.foreign.summary import Row, report

STOCK = Run({"a": Outcome("passed"), "b": Outcome("passed")})
OURS = Run({"a": Outcome("failed", "assert 1\nmore"), "b": Outcome("failed", "x" * 500)})


def test_a_report_shows_counts_causes_and_reasons() -> None:
    found = compare(STOCK, OURS, {"a": "because"})
    text = str(report([Row("flask", "flask==1", found, 7)], ["flask"]))
    assert "| flask | flask==1 | 2 | 0 | 2 | 7 |" in text
    assert "| `a` | assert 1 | because |" in text
    assert f"| `b` | {'x' * 120} … | **unexplained** |" in text
    assert "## Not run" not in text


def test_a_report_names_what_did_not_run_and_passes_without_it() -> None:
    found = compare(STOCK, STOCK, {})
    result = report([Row("flask", "flask==1", found, 7)], ["flask", "flask-principal"])
    assert "## Not run\n\nflask-principal\n" in str(result)
    assert result.passed
