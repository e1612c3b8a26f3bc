"""The checker of registrations finds every planted violation, and none in a correct history."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kits.races.history import Cost, Row
from kits.races.registrations.checker import RULES, check
from kits.races.registrations.evidence import Evidence
from kits.races.tests.registration_history import (
    CLEAN,
    COSTS,
    DOT,
    FULL,
    PROBE,
    ROWS,
    SECOND_CLICK,
    WON,
    form,
    login,
    operation,
    question,
    without,
)


def broken(evidence: Evidence) -> set[str]:
    return {violation.rule for violation in check(evidence)}


def test_a_correct_history_has_no_violation() -> None:
    assert check(Evidence(CLEAN, ROWS, COSTS, FULL)) == []


def test_a_correct_history_without_ids_and_commit_times_has_no_violation() -> None:
    assert check(Evidence(CLEAN, tuple(Row(row.name) for row in ROWS))) == []


PLANTED = {
    "two rows of a name": (
        "one_account",
        Evidence(CLEAN, (*ROWS, Row("ada", 3, 1.35))),
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
    "a 201 whose password is rejected": (
        "success_kept",
        Evidence((*without(login("winner", 201)), login("winner", 401)), ROWS),
    ),
    "a 409 without a row": (
        "taken_is_true",
        Evidence((*CLEAN, operation("loser2", 1, 2, 409, name="cleo")), ROWS),
    ),
    "a 409 before the commit": (
        "taken_is_true",
        Evidence((*CLEAN, operation("early", 1.0, 1.2, 409)), ROWS),
    ),
    "a 409 before the winner's first request, without commit times": (
        "taken_is_true",
        Evidence((*CLEAN, operation("early", 0.1, 0.2, 409)), tuple(Row(row.name) for row in ROWS)),
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
    "a 409 to the owner, despite a key": (
        "own_success_is_no_conflict",
        Evidence((*CLEAN, operation("winner", 3, 4, 409)), ROWS),
    ),
    "a 409 to the owner's first request": (
        "own_success_is_no_conflict",
        Evidence((*without(PROBE), replace(PROBE, status=409, keyed=False)), ROWS),
    ),
    "a row that no client requested": (
        "row_was_requested",
        Evidence(CLEAN, (*ROWS, Row("eve", 9, 2.0))),
    ),
    "a row that opens with no password that was sent": (
        "row_was_requested",
        Evidence(tuple(each for each in CLEAN if each.kind != "login"), ROWS),
    ),
    "a free name that cannot be registered": (
        "name_stays_free",
        Evidence((*CLEAN, operation("probe2", 60, 61, 503, phase="probe", name="cleo")), ROWS),
    ),
    "a free name that no client tries again": (
        "name_stays_free",
        Evidence((*CLEAN, operation("cut", 1, 2, None, name="cleo", keyed=False)), ROWS),
    ),
    "an unknown outcome that stays unknown": (
        "unknown_is_resolved",
        Evidence((*CLEAN, operation("cut", 1, 2, None)), ROWS),
    ),
    "an unknown outcome whose repetition is rejected": (
        "unknown_is_resolved",
        Evidence((*CLEAN, operation("cut", 1, 2, None), operation("cut", 3, 4, 429)), ROWS),
    ),
    "a 409 to the owner's second click": (
        "own_success_is_no_conflict",
        Evidence((*without(SECOND_CLICK), replace(SECOND_CLICK, status=409)), ROWS),
    ),
    "a 409 for a deleted name before its owner submitted the form": (
        "taken_is_true",
        Evidence((*CLEAN, form("early", 0.2, 409, **DOT)), ROWS),
    ),
    "available after a form's success": (
        "free_is_true",
        Evidence((*CLEAN, replace(question(3.5, None), name="dot")), ROWS),
    ),
    "a deleted account without a deletion": (
        "success_kept",
        Evidence(without(login("winner", 201)), (replace(ROWS[0], retired=True), *ROWS[1:])),
    ),
    "a form that redirects without a session": (
        "form_signs_in",
        Evidence((*without(SECOND_CLICK), replace(SECOND_CLICK, signed_in=False)), ROWS),
    ),
    "a deleted name that another client gets": (
        "deleted_stays_deleted",
        Evidence((*CLEAN, operation("heir", 7, 8, 201, **DOT)), ROWS),
    ),
    "a deleted name that its owner gets again by the form": (
        "deleted_stays_deleted",
        Evidence((*CLEAN, form("clicker", 7, 303, **DOT)), ROWS),
    ),
    "a deleted name without a row": (
        "deleted_stays_deleted",
        Evidence(CLEAN, ROWS[:2]),
    ),
    "a deleted account that still exists": (
        "deleted_stays_deleted",
        Evidence(CLEAN, (*ROWS[:2], Row("dot", 3, 1.05, retired=False))),
    ),
    "a deleted account that its password still opens": (
        "deleted_stays_deleted",
        Evidence((*CLEAN, login("clicker", 201, **DOT)), ROWS),
    ),
    "a name that no client gets because Redis is full": (
        "full_redis_blocks_no_registration",
        Evidence(
            (*CLEAN, form("refused", 21, 503, name="eve"), form("refused", 22, 503, name="eve")),
            ROWS,
            faults=FULL,
        ),
    ),
    "a 500": (
        "status_is_documented",
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
def test_a_planted_violation_is_found(rule: str, evidence: Evidence) -> None:
    assert rule in broken(evidence)


def test_every_rule_has_a_planted_violation() -> None:
    assert {rule for rule, _ in PLANTED.values()} == {rule.__name__ for rule in RULES}


def test_a_repetition_without_a_key_may_meet_its_own_account() -> None:
    """The first response was lost; without a key the account looks like a rival's."""
    history = (
        operation("hasty", 1.0, 1.1, None, keyed=False),
        operation("hasty", 1.4, 1.5, 409, keyed=False),
        login("hasty", 201),
    )
    assert check(Evidence(history, (Row("ada", 1, 1.3),))) == []
