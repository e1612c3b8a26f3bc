"""After a race of sessions: try every id that was ever issued, and read the sessions that live."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from kits.races.history import History
from kits.races.registrations.final_checks import await_response
from kits.races.sessions.checker import check, lost
from kits.races.sessions.client import SessionClient
from kits.races.sessions.evidence import LOSING, Evidence
from kits.races.violation import Violation
from kits.report import table

READERS = 8


def conclude(
    _target: object, _load: object, client: SessionClient, history: History
) -> list[Violation]:
    """Send the final requests to a service that has recovered, and check the history."""
    name_of = {op.issued: op.name for op in history.operations if op.issued}

    def look(handle: str) -> None:
        if _status(client.read, name_of[handle], handle) == 200:
            _status(client.devices, name_of[handle], handle)
        _status(client.data, name_of[handle], handle)

    with ThreadPoolExecutor(READERS) as readers:
        for future in [readers.submit(look, handle) for handle in client.handles]:
            future.result()
    return check(_evidence(history))


def losses(history: History) -> list[str]:
    """How much was raced, and what was lost with Redis's data."""
    times = sum(fault.kind in LOSING for fault in history.faults)
    evidence = _evidence(history)
    changes = sum(op.kind == "change" and op.outcome == "ok" for op in history.operations)
    sessions, accounts = len(evidence.issue_of), len(evidence.of_account)
    words = f"{sessions:,} sessions of {accounts:,} accounts; {changes:,} password changes."
    if not times:
        return [words]
    rows = [[rule, f"{count:,}"] for rule, count in lost(evidence).items()]
    destroyed = f"Faults that destroyed Redis's data: {times}. They excuse these violations:"
    return [words, destroyed, table(("rule", "excused"), rows)]


def _evidence(history: History) -> Evidence:
    operations = sorted(history.operations, key=lambda op: op.invoked)
    return Evidence(operations, history.faults)


def _status(send: Callable[..., object], name: str, handle: str) -> int | None:
    return await_response(partial(send, name, handle, "verify")).status
