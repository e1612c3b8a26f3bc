"""The race kit, its short form: `python -m kits.races` is the long one."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from kits.races import summary
from kits.races.registrations.faults import ALONE
from kits.races.registrations.workload import NAMES
from kits.races.run import Plan, run
from tests.servers import gunicorn

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


def test_nothing_is_violated_while_workers_die_and_redis_forgets(
    tmp_path: Path,
) -> None:
    """G1 to G5, with three workers, on real engines."""
    history, violations = run(Plan(SEED, requests=500, faults=FAULTS), tmp_path, print)
    print(summary.summary(history, violations, NAMES))
    assert violations == []
    happened = {fault.kind for fault in history.faults if fault.happened}
    assert happened >= set(FAULTS) - ALONE  # which a busy machine may be too slow to count
    assert len(history.operations) >= 500
    assert {"form", "delete"} <= {operation.kind for operation in history.operations}
    assert history.costs
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    types = Counter(line["type"] for line in lines)
    assert types["invoke"] == types["ok"] + types["fail"] + types["unknown"]


def test_a_service_that_runs_elsewhere_is_raced_from_outside(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    with gunicorn(tmp_path, environ) as server:
        plan = Plan(SEED, requests=150, url=server.url)
        history, violations = run(plan, tmp_path, print)
    assert violations == []
    kinds = {operation.kind for operation in history.operations}
    assert kinds >= {"register", "form", "availability", "login"}
