"""After the race: what was left open is resolved, free names are tried, and rows are read."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial

from kits.races.deployment import Target
from kits.races.history import Exchange, History, Row
from kits.races.registrations.checker import check
from kits.races.registrations.client import Attempt, Client
from kits.races.registrations.evidence import Evidence, Violation
from kits.races.registrations.load import Load
from service.accounts.username_cache import CLAIM_LIFETIME_MS

TRIES = 20  # at most, for an answer from a service that is well again
PAUSE = 0.5


def reach(target: Target, load: Load, client: Client, history: History) -> list[Violation]:
    """Ask what has to be asked of a service that is well again, and check everything."""
    _resolve(load, client, history)
    taken = {row.name for row in target.rows(client, load.names)}
    _probe([name for name in load.names if name not in taken], load, client, history)
    rows = target.rows(client, load.names)
    for row in rows:
        history.row(row)
    _find_owners(rows, load, client, history)
    return check(Evidence(history.operations, rows, history.costs, history.faults))


def _resolve(load: Load, client: Client, history: History) -> None:
    """Repeat every request with a key whose outcome is unknown."""
    begun = sorted(history.operations, key=lambda op: op.invoked)
    last = {op.attempt: op for op in begun if op.registers}
    for attempt in load.attempts:
        if attempt.key and attempt.id in last and last[attempt.id].outcome == "unknown":
            answered(partial(client.register, attempt, "resolve"))


def _probe(names: Sequence[str], load: Load, client: Client, history: History) -> None:
    """Register the names without a row, for which a claim that lives on is allowed to be in the
    way at first."""
    loaded = [op.completed for op in history.operations if op.registers]
    deadline = max(loaded, default=0.0) + CLAIM_LIFETIME_MS / 1000
    for name in names:
        attempt = load.attempt(name, keyed=True)
        while client.register(attempt, "probe").status != 201 and time.monotonic() < deadline:
            time.sleep(PAUSE)


def _find_owners(rows: Sequence[Row], load: Load, client: Client, history: History) -> None:
    """Log in with every password that should open an account, or should no longer; if none does,
    and its owner did not delete it, with all others."""
    answers = defaultdict(set)
    deleted = set()
    for op in history.operations:
        answers[op.attempt].add(op.outcome if op.registers else None)
        if op.kind == "delete" and op.outcome != "fail":
            deleted.add(op.name)
    candidates = defaultdict(list)
    for attempt in load.attempts:
        candidates[attempt.name].append(attempt)
    for row in rows:
        likely = [each for each in candidates[row.name] if "ok" in answers[each.id]]
        others = [each for each in candidates[row.name] if each not in likely]
        opened = [_opens(attempt, client) for attempt in likely]
        if not any(opened) and row.name not in deleted:
            others.sort(key=lambda attempt: "unknown" not in answers[attempt.id])
            any(_opens(attempt, client) for attempt in others)


def _opens(attempt: Attempt, client: Client) -> bool:
    return answered(partial(client.login, attempt)).status == 201


def answered(ask: Callable[[], Exchange]) -> Exchange:
    """Ask until there is an answer, within bounds."""
    for _ in range(TRIES):
        operation = ask()
        if operation.status not in (None, 429, 503):
            break
        time.sleep(PAUSE)
    return operation
