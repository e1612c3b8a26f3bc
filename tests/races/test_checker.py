"""The checker finds what is planted, rule by rule, and nothing where nothing is wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.races.checker import RULES, check
from tests.races.evidence import Evidence
from tests.races.history import Cost, Operation, Row


def operation(
    attempt: str, invoked: float, completed: float, status: int | None, **more: object
) -> Operation:
    """A registration of "ada", if `more` does not say otherwise."""
    usual = {
        "number": 0,
        "kind": "register",
        "phase": "load",
        "name": "ada",
        "spelling": "Ada",
        "keyed": True,
        "account": 1 if status == 201 else None,
    }
    fields = {"attempt": attempt, "invoked": invoked, "completed": completed, "status": status}
    return Operation(**{**usual, **fields, **more})  # type: ignore[arg-type]


def question(invoked: float, reason: str | None) -> Operation:
    """Whether "ada" is available."""
    more = {"kind": "availability", "keyed": False, "reason": reason}
    return operation("", invoked, invoked + 0.01, 200, **more)


def login(attempt: str, status: int, **more: object) -> Operation:
    return operation(attempt, 90, 91, status, kind="login", phase="verify", account=None, **more)


# One wins, whose first answer was lost; two do not, of which one never gets a first answer; "bea"
# fails, and is free afterwards.
WON = operation("winner", 1.0, 1.4, 201)
LOST = operation("loser", 1.0, 1.5, 409, keyed=False)
BEA = {"name": "bea", "spelling": "bea"}
PROBE = operation("probe", 50, 51, 201, phase="probe", **{**BEA, "account": 2})
CLEAN = (
    question(0.5, None),
    operation("winner", 0.9, 1.0, None),
    WON,
    LOST,
    operation("doubtful", 1.0, 2.0, 503),
    operation("doubtful", 2.1, 2.2, 409),
    question(1.1, "pending"),
    question(3.0, "taken"),
    operation("unlucky", 1.0, 1.1, 503, keyed=False, **BEA),
    PROBE,
    login("winner", 201),
    login("doubtful", 401),
    login("probe", 201, **BEA),
)
ROWS = (Row("ada", 1, committed=1.3), Row("bea", 2, committed=50.5))
COSTS = (Cost("ada", 40, hashes=1, inserts=1), Cost("bea", 40, None, 1))


def broken(evidence: Evidence) -> set[str]:
    return {violation.rule for violation in check(evidence)}


def without(*left_out: Operation) -> tuple[Operation, ...]:
    return tuple(each for each in CLEAN if each not in left_out)


def test_nothing_is_found_in_a_history_as_it_should_be() -> None:
    assert check(Evidence(CLEAN, ROWS, COSTS)) == []


def test_nothing_is_found_if_ids_and_commit_times_cannot_be_seen() -> None:
    assert check(Evidence(CLEAN, (Row("ada"), Row("bea")))) == []


PLANTED = {
    "two rows of a name": (
        "one_account",
        Evidence(CLEAN, (*ROWS, Row("ada", 3, committed=1.35))),
    ),
    "two winners of a name": (
        "one_account",
        Evidence((*CLEAN, operation("other", 1, 2, 201, account=3)), ROWS),
    ),
    "a 201 without a row": (
        "success_kept",
        Evidence((*CLEAN, operation("gone", 1, 2, 201, name="cleo")), ROWS),
    ),
    "a 201 for another account than the row's": (
        "success_kept",
        Evidence((*without(WON), replace(WON, account=7)), ROWS),
    ),
    "a 201 whose password is refused": (
        "success_kept",
        Evidence((*without(login("winner", 201)), login("winner", 401)), ROWS),
    ),
    "a 409 without a row": (
        "taken_is_true",
        Evidence((*CLEAN, operation("told", 1, 2, 409, name="cleo")), ROWS),
    ),
    "a 409 before the commit": (
        "taken_is_true",
        Evidence((*CLEAN, operation("early", 1.0, 1.2, 409)), ROWS),
    ),
    "a 409 before its winner had asked, with commits not timed": (
        "taken_is_true",
        Evidence((*CLEAN, operation("early", 0.1, 0.2, 409)), (Row("ada"), Row("bea"))),
    ),
    "“taken” of a name without a row": (
        "taken_is_true",
        Evidence((*CLEAN, replace(question(1, "taken"), name="cleo")), ROWS),
    ),
    "“taken” before the commit": (
        "taken_is_true",
        Evidence((*CLEAN, question(1.1, "taken")), ROWS),
    ),
    "available after a 201": (
        "free_is_true",
        Evidence((*CLEAN, question(3.5, None)), ROWS),
    ),
    "a 409 to the owner, who has a key": (
        "own_success_is_no_conflict",
        Evidence((*CLEAN, operation("winner", 3, 4, 409)), ROWS),
    ),
    "a 409 to the owner at the first time of asking": (
        "own_success_is_no_conflict",
        Evidence((*without(PROBE), replace(PROBE, status=409, keyed=False)), ROWS),
    ),
    "a row that nobody asked for": (
        "row_was_asked_for",
        Evidence(CLEAN, (*ROWS, Row("eve", 9, committed=2.0))),
    ),
    "a row that opens with no password that was sent": (
        "row_was_asked_for",
        Evidence(tuple(each for each in CLEAN if each.kind != "login"), ROWS),
    ),
    "a free name that cannot be had": (
        "name_stays_free",
        Evidence((*CLEAN, operation("probe2", 60, 61, 503, phase="probe", name="cleo")), ROWS),
    ),
    "a free name that nobody tried again": (
        "name_stays_free",
        Evidence((*CLEAN, operation("cut", 1, 2, None, name="cleo", keyed=False)), ROWS),
    ),
    "an unknown outcome that stays so": (
        "unknown_is_resolved",
        Evidence((*CLEAN, operation("cut", 1, 2, None)), ROWS),
    ),
    "an unknown outcome whose repetition is refused": (
        "unknown_is_resolved",
        Evidence((*CLEAN, operation("cut", 1, 2, None), operation("cut", 3, 4, 429)), ROWS),
    ),
    "a 500": (
        "answer_is_foreseen",
        Evidence((*CLEAN, operation("crash", 1, 2, 500)), ROWS),
    ),
    "two hashes for a herd": (
        "herd_costs_one",
        Evidence(CLEAN, ROWS, (Cost("ada", 40, hashes=2, inserts=1),)),
    ),
    "two INSERTs for a herd": (
        "herd_costs_one",
        Evidence(CLEAN, ROWS, (Cost("ada", 40, hashes=1, inserts=2),)),
    ),
    "a hash that was not counted": (
        "herd_costs_one",
        Evidence(CLEAN, ROWS, (Cost("ada", 40, hashes=0, inserts=1),)),
    ),
}


@pytest.mark.parametrize(("rule", "evidence"), PLANTED.values(), ids=PLANTED.keys())
def test_what_is_planted_is_found(rule: str, evidence: Evidence) -> None:
    assert rule in broken(evidence)


def test_something_is_planted_for_every_rule() -> None:
    assert {rule for rule, _ in PLANTED.values()} == {rule.__name__ for rule in RULES}


def test_a_repetition_without_a_key_may_meet_its_own_account() -> None:
    """The first answer was lost; without a key nobody can tell it from a rival's."""
    history = (
        operation("hasty", 1.0, 1.1, None, keyed=False),
        operation("hasty", 1.4, 1.5, 409, keyed=False),
        login("hasty", 201),
    )
    assert check(Evidence(history, (Row("ada", 1, committed=1.3),))) == []
