"""The kit itself: every contender answers, what it costs is counted, and a verdict can fail."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from kits.bench import __main__ as kit
from kits.bench import accounts, express, registration, session_checks, session_count
from kits.bench.express import NotMeasured
from kits.bench.section import Section
from kits.bench.session_checks import BARE, CURRENT, DJANGO, EXPRESS, PLAIN, STOCK, VERIFY
from kits.bench.testbed import COATCHECK, Contender, Cost, Stage, stage
from kits.bench.workloads import Result, Sample, Visit, in_turn, sample
from kits.command import Effort, Verdict
from kits.generators import LoadError, Run, crowd

PEERS = ("applications:stock_flask_session", "django_site:site")
GOOD = Sample(
    rate=1900, p50=3, p99=15, workers=200, redis=8, postgres=0, commands=1.02, share=9, others=0
)
RATES = {PLAIN: 2600, BARE: 2500, STOCK: 1000, DJANGO: 1300, EXPRESS: 1300, VERIFY: 1900}
WORSE = (
    (VERIFY, "rate", 1800),
    (CURRENT, "rate", 1700),
    (VERIFY, "redis", 8.1),
    (CURRENT, "commands", 1.03),
    (VERIFY, "p99", 15.1),
)


@pytest.fixture(scope="module")
def testing_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("bench"), "testing") as running:
        yield running


@pytest.fixture(scope="module")
def coatcheck(testing_stage: Stage) -> Iterator[Contender]:
    with testing_stage.serve(COATCHECK, workers=1) as running:
        yield running


@pytest.mark.parametrize("application", PEERS)
def test_every_peer_answers_who_is_signed_in(testing_stage: Stage, application: str) -> None:
    with testing_stage.serve(application, workers=1) as contender:
        assert _who(contender, accounts.sign_in(contender)[7]) == accounts.NAMES[7]


def test_express_answers_who_is_signed_in(testing_stage: Stage) -> None:
    try:
        express.install()
    except NotMeasured as problem:
        pytest.skip(str(problem))
    with express.serve(testing_stage, workers=1) as contender:
        assert _who(contender, accounts.sign_in(contender)[7]) == accounts.NAMES[7]


def test_the_limits_answer_as_the_others_do(testing_stage: Stage) -> None:
    with testing_stage.serve("applications:bare_flask", workers=1) as bare:
        assert _who(bare, "")
        answer = httpx.post(f"{bare.url}/accounts", json={"username": "ada"})
        assert (answer.status_code, answer.json()["code"]) == (409, "username_taken")
    with testing_stage.serve("applications:plain", workers=1) as plain:
        answer = httpx.get(f"{plain.url}{VERIFY}")
        assert (answer.status_code, answer.headers["X-Auth-Username"]) == (200, "ada")


def test_the_service_knows_its_visitors_on_every_path(coatcheck: Contender) -> None:
    cookie = accounts.sign_in(coatcheck, accounts.sign_up(coatcheck))[7]
    assert _who(coatcheck, cookie) == accounts.NAMES[7]
    for path in (VERIFY, CURRENT):
        answer = httpx.get(f"{coatcheck.url}{path}", headers={"Cookie": cookie})
        assert answer.status_code == 200
        assert accounts.NAMES[7] in (answer.headers.get("X-Auth-Username"), *_names(answer))


def test_contenders_take_turns_and_their_commands_are_counted(coatcheck: Contender) -> None:
    (cookie, *_) = accounts.sign_up(coatcheck)
    turns: list[str] = []

    def visit(title: str) -> Visit:
        def load(seconds: float) -> Run:
            turns.append(title)
            for _ in range(4):
                httpx.get(f"{coatcheck.url}{VERIFY}", headers={"Cookie": cookie})
            return _run(200, 4)

        return Visit(title, coatcheck, load)

    results = in_turn([visit("a"), visit("b")], Effort(2, 0.1), lambda line: None)
    assert turns == ["a", "b", "a", "b", "b", "a"]
    assert [result.median.commands for result in results] == [1, 1]
    assert results[0].median.rate == 4


def test_registrations_and_logins_are_all_answered_201(coatcheck: Contender) -> None:
    accounts.sign_up(coatcheck)
    for plan in (registration.registrations(coatcheck, 0.3), registration.logins(coatcheck, 0.3)):
        assert set(crowd(plan).statuses) == {201}


def test_a_session_that_was_filled_in_is_one_that_the_service_knows(coatcheck: Contender) -> None:
    name = accounts.sign_up(coatcheck)[0].partition("=")[0]
    ids, memory = session_count.fill(coatcheck.stage.redis, 1000, keys=2)  # fewer drown in the rest
    for each in ids[:3]:
        answer = httpx.get(f"{coatcheck.url}{VERIFY}", headers={"Cookie": f"{name}={each}"})
        assert answer.status_code == 200
    assert memory > 100


def test_another_status_than_expected_is_an_error(coatcheck: Contender) -> None:
    visit = Visit("it", coatcheck, lambda seconds: _run(404, 1))
    with pytest.raises(LoadError, match="it answered 1 × 404, and only 200 counts"):  # noqa: RUF001
        sample(_run(404, 1), visit, Cost(0, 0, 0, 0), 0.0)


def test_a_refusal_counts_nowhere_and_is_allowed_where_it_may_come(coatcheck: Contender) -> None:
    run = Run(2.0, 4, Counter({201: 3, 503: 1}), 1.0, 2.0, 0.1)
    refusable = Visit("it", coatcheck, lambda seconds: run, 201, refusable=True)
    measured = sample(run, refusable, Cost(3e-6, 0, 0, 3), 0.0)
    assert (measured.rate, measured.workers, measured.commands) == (1.5, 1.0, 1.0)
    with pytest.raises(LoadError, match="only 201 counts"):
        sample(run, Visit("it", coatcheck, lambda seconds: run, 201), Cost(0, 0, 0, 0), 0.0)


def test_without_node_express_is_left_out_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NotMeasured, match="node is not installed"):
        express.install()


def test_results_on_the_targets_pass() -> None:
    assert [v.what for v in session_checks.verdicts(_found()) if not v.passed] == []


@pytest.mark.parametrize(("title", "quantity", "value"), WORSE)
def test_a_result_that_misses_its_target_fails(title: str, quantity: str, value: float) -> None:
    found = _found()
    found[title] = Result(title, [replace(found[title].median, **{quantity: value})] * 3)
    failed = {v.what for v in session_checks.verdicts(found) if not v.passed}
    assert failed == {title}


def test_a_contender_that_was_not_measured_has_no_target() -> None:
    found = _found()
    del found[EXPRESS]
    targets = [verdict.target for verdict in session_checks.verdicts(found)]
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
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, testing_stage: Stage
) -> None:
    def broken(*_: object) -> Section:
        raise LoadError("it answered 1 x 404")

    monkeypatch.setitem(kit.ROWS, "checks", broken)
    sections, errors = kit.perform(testing_stage, ["checks"], Effort(1, 1.0), lambda line: None)
    assert (sections, errors) == ([], ["checks: it answered 1 x 404"])
    assert kit.conclude(sections, errors, Effort(1, 1.0), tmp_path) == 2


def _found() -> dict[str, Result]:
    """As good as the targets ask for, and no better."""
    titles = [*RATES, CURRENT]
    rates = {CURRENT: 1900, **RATES}
    medians = {title: replace(GOOD, rate=rates[title]) for title in titles}
    medians[BARE] = replace(medians[BARE], p99=10)
    return {title: Result(title, [median] * 3) for title, median in medians.items()}


def _who(contender: Contender, cookie: str) -> str:
    answer = httpx.get(f"{contender.url}/me", headers={"Cookie": cookie})
    return answer.raise_for_status().json()["account"]["username"]


def _names(answer: httpx.Response) -> list[str]:
    return [answer.json()["account"]["username"]] if answer.content else []


def _run(status: int, count: int) -> Run:
    return Run(1.0, count, Counter({status: count}), 1.0, 2.0, 0.1)
