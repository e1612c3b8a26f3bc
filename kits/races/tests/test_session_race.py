"""The race of sessions in short; `python -m kits.races sessions` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from kits.races import summary
from kits.races.run import Plan, run
from kits.races.sessions.workload import SESSIONS

SEED = 20240229
FAULTS = (
    "worker_changed_not_revoked",
    "write_overtaken_by_logout",
    "login_overtaken_by_change",
    "connection_after_rotate",
    "redis_killed",
)
PLANTED = {  # the bugs of broken_app, and the faults that reveal each
    # A held read can hold up others in its worker, so another worker has to end the session.
    "unfenced_save": ("reading_overtaken_by_logout",) * 6,
    "unfenced_create": ("login_overtaken_by_change",),
    "forgetful_revoke_all": ("write_overtaken_by_change",),
}
# A revived session is used, or appears among the devices if no client has its id.
REVOKED_IS_REVOKED = {"ended_is_ended", "devices_are_true"}


def test_no_rule_is_violated_while_workers_die_and_redis_restarts(tmp_path: Path) -> None:
    """G6, G7 and G10, with three workers, on real engines."""
    plan = Plan(SESSIONS, SEED, requests=600, faults=FAULTS)
    history, violations = run(plan, tmp_path, print)
    print(summary.report(history, violations, SESSIONS))
    assert violations == []
    assert {fault.kind for fault in history.faults if fault.happened} >= set(FAULTS[1:])
    assert len(history.operations) >= 600


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found(tmp_path: Path, bug: str) -> None:
    application = f"kits.races.tests.broken_app:{bug}()"
    plan = Plan(SESSIONS, SEED, 100, PLANTED[bug], application=application)
    _, violations = run(plan, tmp_path, print)
    assert {violation.rule for violation in violations} & REVOKED_IS_REVOKED
