"""What counts as a difference, and which differences fail the kit."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping

import pytest

from kits.foreign.__main__ import DIFFERENCES
from kits.foreign.comparison import compare, read_reasons
from kits.foreign.run import Outcome, Run
from kits.foreign.suites import SUITES


def run(trouble: str = "", **words: str) -> Run:
    return Run({test: Outcome(word, "why") for test, word in words.items()}, trouble)


def verdict(stock: Run, ours: Run, reasons: Mapping[str, str] = {}) -> tuple[bool, str]:
    found = compare(stock, ours, reasons).verdict("a suite")
    return found.passed, found.measured


def test_equal_runs_pass() -> None:
    runs = run(a="passed", b="passed"), run(a="passed", b="passed")
    assert verdict(*runs) == (True, "2 pass, 2 with stock")


def test_a_test_that_fails_both_ways_is_no_difference() -> None:
    assert verdict(run(a="passed", b="failed"), run(a="passed", b="failed"))[0]


@pytest.mark.parametrize("word", ["failed", "skipped"])
def test_an_unexplained_difference_fails(word: str) -> None:
    passed, measured = verdict(run(a="passed"), run(a=word))
    assert not passed
    assert measured == "0 pass, 1 with stock; unexplained: a"


def test_a_test_that_did_not_run_is_a_difference() -> None:
    (found,) = compare(run(a="passed", b="passed"), run(a="passed"), {}).differences
    assert (found.test, found.outcome.word) == ("b", "missing")


def test_an_explained_difference_passes() -> None:
    assert verdict(run(a="passed"), run(a="failed"), {"a": "because"})[0]


def test_a_reason_without_a_difference_is_stale_and_fails() -> None:
    passed, measured = verdict(run(a="passed"), run(a="passed"), {"a": "because"})
    assert not passed
    assert measured.endswith("stale: a")


def test_a_reason_without_parameters_explains_all_of_them_and_an_exact_one_comes_first() -> None:
    stock = Run({test: Outcome("passed") for test in ("t[1]", "t[2]", "u[1]")})
    found = compare(stock, Run({}), {"t": "all", "t[2]": "this"})
    assert [(each.test, each.reason) for each in found.differences] == [
        ("t[1]", "all"),
        ("t[2]", "this"),
        ("u[1]", ""),
    ]
    assert not found.stale


@pytest.mark.parametrize("side", ["stock", "coatcheck"])
def test_a_run_that_did_not_finish_fails_although_nothing_differs(side: str) -> None:
    good, bad = run(a="passed"), run("pytest ended with status 3", a="passed")
    passed, measured = verdict(*((bad, good) if side == "stock" else (good, bad)))
    assert not passed
    assert "pytest ended with status 3" in measured


def test_a_suite_in_which_nothing_passes_proves_nothing_and_fails() -> None:
    assert not verdict(run(a="failed"), run(a="failed"))[0]


def test_reasons_are_read_by_suite_and_test() -> None:
    parsed = tomllib.loads(
        '[[a]]\nreason = "r"\ntests = ["x", "y"]\n[[b]]\nreason = "s"\ntests = []'
    )
    assert read_reasons(parsed, "a") == {"x": "r", "y": "r"}
    assert read_reasons(parsed, "c") == {}


@pytest.mark.parametrize(
    "text",
    ['[[a]]\nreason = " "\ntests = ["x"]', '[[a]]\nreason = "r"\ntests = ["x", "x"]'],
    ids=["no reason", "twice"],
)
def test_a_test_needs_exactly_one_reason(text: str) -> None:
    with pytest.raises(ValueError, match="a: x needs one reason"):
        read_reasons(tomllib.loads(text), "a")


def test_our_list_of_differences_names_only_suites_that_exist() -> None:
    known = tomllib.loads(DIFFERENCES.read_text(encoding="utf-8"))
    assert known.keys() <= {suite.key for suite in SUITES}
    for suite in SUITES:
        read_reasons(known, suite.key)
