"""What is said of a run: a line of progress, and the tables at the end."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kits.races.history import Exchange, History
from kits.races.registrations.evidence import Violation

if TYPE_CHECKING:
    from kits.races.workload import Form


def progress(history: History, doing: str) -> str:
    """How far it is, in one line."""
    answers = Counter(answer(op) for op in history.operations)
    told = "  ".join(f"{each}: {count:,}" for each, count in sorted(answers.items()))
    return f"{time.monotonic() - history.started:5.0f} s  {doing:42} {told}"


def answer(operation: Exchange) -> str:
    """The status, or that there was none."""
    return str(operation.status or "no answer")


def summary(history: History, violations: Sequence[Violation], form: Form) -> str:
    """Requests, faults, what the form adds, and rules, as tables."""
    rules = _rules([rule.__name__ for rule in form.rules], violations)
    parts = (_requests(history), _faults(history), form.more(history), rules)
    return "\n\n".join("\n".join(part) for part in parts)


def _requests(history: History) -> list[str]:
    lines = [f"{'requests':14} {'answer':>10} {'count':>8} {'p50':>8} {'p99':>8} {'longest':>8}"]
    groups = defaultdict(list)
    for op in history.operations:
        groups[op.kind, answer(op)].append(op.completed - op.invoked)
    for (kind, said), seconds in sorted(groups.items()):
        seconds.sort()
        shown = [seconds[int(share * (len(seconds) - 1))] for share in (0.5, 0.99, 1)]
        times = " ".join(f"{each * 1000:5.0f} ms" for each in shown)
        lines.append(f"{kind:14} {said:>10} {len(seconds):8,} {times}")
    return [*lines, f"{'together':14} {'':>10} {len(history.operations):8,}"]


def _faults(history: History) -> list[str]:
    kinds = Counter(fault.kind for fault in history.faults if fault.happened)
    missed = Counter(fault.kind for fault in history.faults if not fault.happened)
    lines = [f"{'faults':38} {'times':>5}"]
    lines += [f"{kind:38} {count:5}" for kind, count in sorted(kinds.items())]
    lines += [f"{kind:38} {count:5}, did not come about" for kind, count in missed.items()]
    return [*lines, f"{'together, of ' + str(len(kinds)) + ' kinds':38} {kinds.total():5}"]


def costs(history: History) -> list[str]:
    """What the herds cost that were counted."""
    if not history.costs:
        return ["No herd was counted."]
    hashes = Counter("not told" if c.hashes is None else c.hashes for c in history.costs)
    inserts = Counter(cost.inserts for cost in history.costs)
    return [
        f"{len(history.costs)} herds counted on new names, by cost:",
        "  hashes   " + ", ".join(f"{count} herds: {cost}" for cost, count in hashes.items()),
        "  INSERTs  " + ", ".join(f"{count} herds: {cost}" for cost, count in inserts.items()),
    ]


def _rules(rules: Sequence[str], violations: Sequence[Violation]) -> list[str]:
    broken = Counter(violation.rule for violation in violations)
    lines = [f"{'rule':38} {'violations':>10}"]
    lines += [f"{rule:38} {broken[rule]:10}" for rule in rules]
    return lines + [f"  {each.rule}: {each.name}: {each.what}" for each in violations[:20]]
