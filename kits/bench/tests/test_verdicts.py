"""The benchmark's verdicts, and the exit status and report that come of them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from kits.bench import __main__ as kit
from kits.bench.contender import Engines
from kits.bench.measurement import Result, Sample
from kits.bench.section import Section
from kits.bench.session_checks import (
    BARE,
    CURRENT,
    DJANGO,
    EXPRESS,
    FASTIFY,
    PLAIN,
    STOCK,
    VERIFY,
    VIEW,
    verdicts,
)
from kits.command import Effort
from kits.generators import LoadError
from kits.verdict import Verdict

GOOD = Sample(
    rate=3400, p50=3, p99=15, workers=200, redis=6, postgres=0, commands=1.02, share=9, others=0
)
RATES = {
    PLAIN: 6800, BARE: 1600, STOCK: 500, DJANGO: 600, EXPRESS: 1000, FASTIFY: 2000, VERIFY: 3400,
    CURRENT: 3000, VIEW: 1200,
}  # fmt: skip
WORSE = (
    (VERIFY, "rate", 3300),
    (CURRENT, "rate", 2900),
    (VIEW, "rate", 1100),
    (VERIFY, "redis", 6.1),
    (CURRENT, "commands", 1.03),
    (VERIFY, "p99", 15.1),
)


def test_results_on_the_targets_pass() -> None:
    assert [v.subject for v in verdicts(_on_target()) if not v.passed] == []


@pytest.mark.parametrize(("title", "quantity", "value"), WORSE)
def test_a_result_that_misses_its_target_fails(title: str, quantity: str, value: float) -> None:
    found = _on_target()
    found[title] = Result(title, [replace(found[title].median, **{quantity: value})] * 3)
    failed = {v.subject for v in verdicts(found) if not v.passed}
    assert failed == {title}


def test_a_contender_that_was_not_measured_has_no_target() -> None:
    found = _on_target()
    del found[EXPRESS]
    targets = [verdict.target for verdict in verdicts(found)]
    assert targets
    assert not [target for target in targets if EXPRESS in target]


@pytest.mark.parametrize(("passed", "status"), [(True, 0), (False, 1)])
def test_the_exit_status_and_the_report_say_whether_a_target_is_missed(
    tmp_path: Path, passed: bool, status: int
) -> None:
    unknown = replace(GOOD, redis=math.nan)
    results = [Result("a", [GOOD] * 3), Result("b", [unknown] * 3)]
    section = Section("some", "Some", results, [Verdict("a", "good", "so", passed)], ["A word."])
    assert kit.conclude([section], [], Effort(3, 5.0), tmp_path) == status
    text = (tmp_path / "report.md").read_text()
    assert ("| a | good | so | pass |" if passed else "| a | good | so | FAIL |") in text
    assert (tmp_path / "some.png").stat().st_size > 0


def test_a_row_that_cannot_be_measured_fails_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object) -> Section:
        raise LoadError("it answered 1 x 404")

    monkeypatch.setitem(kit.ROWS, "checks", broken)
    engines: Engines = None  # type: ignore[assignment]  # a row that fails uses none
    sections, errors = kit.perform(engines, ["checks"], Effort(1, 1.0), lambda line: None)
    assert (sections, errors) == ([], ["checks: it answered 1 x 404"])
    assert kit.conclude(sections, errors, Effort(1, 1.0), tmp_path) == 2


def _on_target() -> dict[str, Result]:
    """Results exactly as good as the targets require."""
    medians = {title: replace(GOOD, rate=rate) for title, rate in RATES.items()}
    return {title: Result(title, [median] * 3) for title, median in medians.items()}
