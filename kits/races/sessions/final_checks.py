"""After the race of sessions: every id that there ever was is tried, and what lives is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from kits.races.history import History
from kits.races.registrations.evidence import Violation
from kits.races.registrations.final_checks import answered
from kits.races.sessions.checker import check, lost
from kits.races.sessions.client import SessionClient
from kits.races.sessions.evidence import LOSING, Evidence

READERS = 8


def reach(
    _target: object, _load: object, client: SessionClient, history: History
) -> list[Violation]:
    """Ask what has to be asked of a service that is well again, and check everything."""
    name_of = {op.issued: op.name for op in history.operations if op.issued}

    def look(handle: str) -> None:
        if _asked(client.read, name_of[handle], handle) == 200:
            _asked(client.devices, name_of[handle], handle)
        _asked(client.data, name_of[handle], handle)

    with ThreadPoolExecutor(READERS) as readers:
        for future in [readers.submit(look, handle) for handle in client.handles]:
            future.result()
    return check(evidence_of(history))


def evidence_of(history: History) -> Evidence:
    """What is known, in order."""
    operations = sorted(history.operations, key=lambda op: op.invoked)
    return Evidence(operations, history.faults)


def losses(history: History) -> list[str]:
    """A table of what was lost with Redis' data."""
    times = sum(fault.kind in LOSING for fault in history.faults)
    evidence = evidence_of(history)
    ended = Counter(op.kind for op in history.operations if op.outcome == "ok")
    lines = [f"{len(evidence.issue_of):,} sessions of {len(evidence.of_account):,} accounts"]
    lines += [f"{ended['change']:,} passwords changed"]
    found = lost(evidence) if times else Counter()
    lines += [f"Redis' data destroyed {times} times; what is not held against it for that:"]
    return lines + [f"  {rule:36} {count:10,}" for rule, count in found.items()]


def _asked(ask: Callable[..., object], name: str, handle: str) -> int | None:
    return answered(partial(ask, name, handle, "verify")).status
