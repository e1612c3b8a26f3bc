"""The race of registrations in short; `python -m kits.races` is the long one."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from kits.races import summary
from kits.races.deployment import start_deployment
from kits.races.registrations.faults import ALONE
from kits.races.registrations.workload import REGISTRATIONS
from kits.races.run import Plan, run

SEED = 20240229
FAULTS = (
    "worker_after_commit",
    "connection_before_commit",
    "redis_flushed",
    "redis_tail_lost",
    "redis_full",
    "names_released",
    "claim_lost",
)


def test_no_rule_is_violated_while_workers_die_and_redis_forgets(tmp_path: Path) -> None:
    """G1 to G5, with three workers, on real engines."""
    plan = Plan(REGISTRATIONS, SEED, requests=500, faults=FAULTS)
    history, violations = run(plan, tmp_path, print)
    print(summary.report(history, violations, REGISTRATIONS))
    assert violations == []
    happened = {fault.kind for fault in history.faults if fault.happened}
    assert happened >= set(FAULTS) - ALONE  # those can be too slow to count on a busy machine
    assert len(history.operations) >= 500
    assert {"form", "delete"} <= {operation.kind for operation in history.operations}
    assert history.costs
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    types = Counter(line["type"] for line in lines)
    assert types["invoke"] == types["ok"] + types["fail"] + types["unknown"]


def test_a_service_that_runs_elsewhere_is_raced_from_outside(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with start_deployment(elsewhere, "none") as deployment:
        plan = Plan(REGISTRATIONS, SEED, requests=150, url=deployment.url)
        history, violations = run(plan, tmp_path, print)
    assert violations == []
    kinds = {operation.kind for operation in history.operations}
    assert kinds >= {"register", "form", "availability", "login"}
