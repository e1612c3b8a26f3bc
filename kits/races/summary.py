"""A line of progress during a race, and the report at its end."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Sequence

from kits.races.history import History, Operation
from kits.races.violation import Violation, verdicts
from kits.races.workload import Workload
from kits.report import Report, table


def progress(history: History, doing: str) -> str:
    """How far the race is, in one line."""
    counts = Counter(_status(operation) for operation in history.operations)
    listed = "  ".join(f"{status}: {count:,}" for status, count in sorted(counts.items()))
    return f"{time.monotonic() - history.started:5.0f} s  {doing:42} {listed}"


def report(history: History, violations: Sequence[Violation], workload: Workload) -> Report:
    """Requests, faults, the workload's own details, and a verdict on each rule."""
    written = Report(f"Race of {workload.title.lower()}")
    written.section("Requests", _requests(history))
    written.section("Faults", _faults(history))
    written.section("Details", *workload.details(history))
    written.judge(verdicts(workload.rules, violations))
    return written


def _status(operation: Operation) -> str:
    return str(operation.status or "none")


def _requests(history: History) -> str:
    groups = defaultdict(list)
    for operation in history.operations:
        groups[operation.kind, _status(operation)].append(operation.took)
    rows = []
    for (kind, status), seconds in sorted(groups.items()):
        seconds.sort()
        shown = [seconds[int(share * (len(seconds) - 1))] for share in (0.5, 0.99, 1)]
        rows.append([kind, status, f"{len(seconds):,}", *(f"{s * 1000:.0f} ms" for s in shown)])
    rows.append(["all", "", f"{len(history.operations):,}", "", "", ""])
    return table(("request", "status", "count", "p50", "p99", "longest"), rows)


def _faults(history: History) -> str:
    happened = Counter(fault.kind for fault in history.faults if fault.happened)
    missed = Counter(fault.kind for fault in history.faults if not fault.happened)
    rows = [[kind, str(happened[kind]), str(missed[kind])] for kind in sorted(happened | missed)]
    rows.append([f"all; kinds: {len(happened)}", str(happened.total()), str(missed.total())])
    return table(("fault", "happened", "did not happen"), rows)
