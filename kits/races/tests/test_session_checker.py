"""The checker of sessions finds every planted violation, and none in a correct history."""

from __future__ import annotations

import pytest

from kits.races.history import FaultSpan
from kits.races.sessions.checker import RULES, check, lost
from kits.races.sessions.evidence import Evidence
from kits.races.tests.session_history import (
    FAULTS,
    LOSS,
    change,
    data,
    enters,
    listed,
    op,
    planted,
    read,
    write,
)


def broken(evidence: Evidence) -> set[str]:
    return {violation.rule for violation in check(evidence)}


def test_a_correct_history_has_no_violation() -> None:
    assert check(planted()) == []


PLANTED = {
    "a session read after its logout": ("ended_is_ended", planted(read("laptop", 4.0))),
    "contents shown after the logout": (
        "ended_is_ended",
        planted(write("laptop", 3.2, "boot", "cap"), data("laptop", 4.0, "boot")),
    ),
    "the id that a password change replaced": ("ended_is_ended", planted(read("phone", 6.0))),
    "the id that a sign-in replaced": (
        "ended_is_ended",
        planted(data("anonymous", 4.0, "hat")),
    ),
    "a session that got a new id while it was signed out": (
        "ended_is_ended",
        planted(
            op("others", 8.0, 200, session="phone2", issued="phone3"),
            op("logout", 8.05, 204, session="phone2", cleared=True),
            read("phone3", 8.5),
        ),
    ),
    "a session of a login that overlapped the change of its password": (
        "ended_is_ended",
        planted(read("late", 6.0)),
    ),
    "a session that another one revoked": (
        "ended_is_ended",
        planted(
            enters("tablet", 5.2, "q"),
            op("revoke", 5.7, 204, session="phone2", target="tablet"),
            read("tablet", 6.0),
        ),
    ),
    "a session that outlives the end of all": (
        "ended_is_ended",
        planted(op("all", 8.0, 200, session="phone2", cleared=True), read("phone2", 8.5)),
    ),
    "a session that outlives the end of all others": (
        "ended_is_ended",
        planted(
            enters("tablet", 7.0, "q"),
            op("others", 8.0, 200, session="phone2", issued="phone3"),
            read("tablet", 8.5),
        ),
    ),
    "a session that outlives its account": (
        "ended_is_ended",
        planted(
            op("close", 8.0, 204, session="phone2", password="q", cleared=True),
            read("phone2", 8.5),
        ),
    ),
    "200 after 401": (
        "gone_stays_gone",
        planted(
            op("logout", 7.0, 503, session="phone2"), read("phone2", 7.5, 401), read("phone2", 8)
        ),
    ),
    "a 401 although no request ended the session": (
        "nobody_is_signed_out",
        planted(read("phone2", 8.0, 401)),
    ),
    "another session in the place of one that lives": (
        "nobody_is_signed_out",
        planted(write("phone2", 8.0, "sock", issued="other")),
    ),
    "a login with the old password": (
        "old_password_is_refused",
        planted(enters("thief", 5.5, "p")),
    ),
    "a login to an account that was deleted": (
        "old_password_is_refused",
        planted(
            op("close", 8.0, 204, session="phone2", password="q", cleared=True),
            enters("ghost", 8.5, "q"),
        ),
    ),
    "two changes of one password": (
        "password_changes_once",
        planted(change("late", 5.0, "p", "r", issued="late2")),
    ),
    "a device that signed out": (
        "devices_are_true",
        planted(listed("phone", 4.0, "phone", "laptop")),
    ),
    "a device that no client signed in on": (
        "devices_are_true",
        planted(listed("phone", 4.0, "phone", "stray")),
    ),
    "a device of a login without a response that a change overtook": (
        "devices_are_true",
        planted(op("login", 4.8, 503, password="p"), listed("phone2", 5.8, "phone2", "stray")),
    ),
    "a device that is missing": ("devices_are_true", planted(listed("phone", 2.6, "phone"))),
    "a write that was lost": (
        "writes_are_kept",
        planted(write("phone", 2.2, "boot", "coat"), data("phone", 2.7, "boot")),
    ),
    "all writes lost": ("writes_are_kept", planted(data("phone", 2.7))),
    "a write lost by the rotation": ("writes_are_kept", planted(data("phone2", 6.0))),
    "data from before signing in": (
        "data_belong_to_the_session",
        planted(data("phone", 2.7, "coat", "hat")),
    ),
    "data of another session": (
        "data_belong_to_the_session",
        planted(write("laptop", 1.5, "sock"), data("phone", 2.7, "coat", "sock")),
    ),
    "data that no client wrote": (
        "data_belong_to_the_session",
        planted(data("laptop", 1.5, "what")),
    ),
    "another value": (
        "data_belong_to_the_session",
        planted(data("phone", 2.7, data={"coat": "fez"})),
    ),
    "another account": (
        "account_belongs_to_the_session",
        planted(read("phone", 2.0, owner="Eve")),
    ),
    "another session of the same account": (
        "account_belongs_to_the_session",
        planted(read("phone", 2.0, handle="laptop")),
    ),
    "a 500": ("status_is_documented", planted(op("read", 2.0, 500, session="phone"))),
    "a change without a new id": (
        "status_is_documented",
        planted(change("phone2", 8.0, "q", "r")),
    ),
    "503 with a cookie": (
        "outage_is_no_logout",
        planted(op("read", 2.0, 503, session="phone", cleared=True)),
    ),
    "503 without Retry-After": (
        "outage_is_no_logout",
        planted(op("read", 2.0, 503, session="phone", retry_after=False)),
    ),
    "a cookie deleted by reading": (
        "outage_is_no_logout",
        planted(op("read", 2.0, 401, session="laptop", cleared=True)),
    ),
    "no response": ("every_request_is_answered", planted(op("login", 2.0, None, password="p"))),
    "a late response while Redis is paused": (
        "redis_paused_is_in_time",
        planted(op("read", 10.5, 503, session="phone2", completed=12.1)),
    ),
    "a read that fails while Postgres is away": (
        "reading_needs_no_postgres",
        planted(op("read", 13.5, 503, session="phone2")),
    ),
}


@pytest.mark.parametrize(("rule", "evidence"), PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_violation_is_found(rule: str, evidence: Evidence) -> None:
    assert rule in broken(evidence)


def test_every_rule_has_a_planted_violation() -> None:
    assert {rule for rule, _ in PLANTED.values()} == {rule.__name__ for rule in RULES}


def test_losses_of_destroyed_data_are_counted_and_are_no_violations() -> None:
    """A log without its end brings an ended session back, and loses a live one."""
    evidence = planted(read("laptop", 8.0), read("phone2", 8.0, 401), faults=(*FAULTS, LOSS))
    assert check(evidence) == []
    assert lost(evidence) == {
        "ended_is_ended": 1,
        "gone_stays_gone": 1,
        "nobody_is_signed_out": 1,
    }


def test_a_registration_without_a_session_may_have_opened_one() -> None:
    """Redis answered too late: the client got 201 without a cookie, and the session exists."""
    evidence = planted(op("register", 3.0, 201, password="p"), listed("phone", 4.0, "phone", "?"))
    assert check(evidence) == []


def test_a_missing_response_from_a_killed_worker_is_no_violation() -> None:
    killing = FaultSpan("worker_after_create", 7.9, 8.5, True)
    evidence = planted(op("login", 8.0, None, password="q"), faults=(*FAULTS, killing))
    assert check(evidence) == []
