"""After a race of registrations: resolve what is unknown, try the free names, read the rows."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial

from kits.races.deployment import Target
from kits.races.history import History, Operation, Row
from kits.races.registrations.checker import check
from kits.races.registrations.client import Attempt, RegistrationClient
from kits.races.registrations.evidence import Evidence
from kits.races.registrations.load import RegistrationLoad
from kits.races.violation import Violation
from service.registration.username_cache import CLAIM_LIFETIME_MS

TRIES = 20  # at most, for a response from a service that has recovered
PAUSE = 0.5


def conclude(
    target: Target, load: RegistrationLoad, client: RegistrationClient, history: History
) -> list[Violation]:
    """Send the final requests to a service that has recovered, and check the history."""
    _resolve(load, client, history)
    taken = {row.name for row in target.rows(client, load.names)}
    _probe([name for name in load.names if name not in taken], load, client, history)
    rows = target.rows(client, load.names)
    for row in rows:
        history.row(row)
    _find_owners(rows, load, client, history)
    return check(Evidence(history.operations, rows, history.costs, history.faults))


def _resolve(load: RegistrationLoad, client: RegistrationClient, history: History) -> None:
    """Repeat every request that has a key and an unknown outcome."""
    begun = sorted(history.operations, key=lambda op: op.invoked)
    last = {op.attempt: op for op in begun if op.registers}
    for attempt in load.attempts:
        if attempt.key and attempt.id in last and last[attempt.id].outcome == "unknown":
            await_response(partial(client.register, attempt, "resolve"))


def _probe(
    names: Sequence[str], load: RegistrationLoad, client: RegistrationClient, history: History
) -> None:
    """Register the names without a row; a claim may block them until it expires."""
    loaded = [op.completed for op in history.operations if op.registers]
    deadline = max(loaded, default=0.0) + CLAIM_LIFETIME_MS / 1000
    for name in names:
        attempt = load.attempt(name, keyed=True)
        while client.register(attempt, "probe").status != 201 and time.monotonic() < deadline:
            time.sleep(PAUSE)


def _find_owners(
    rows: Sequence[Row], load: RegistrationLoad, client: RegistrationClient, history: History
) -> None:
    """Log in with every password that got a success for the name. If none opens the account, and
    its owner has not deleted it, try all others."""
    outcomes = defaultdict(set)
    deleted = set()
    for op in history.operations:
        outcomes[op.attempt].add(op.outcome if op.registers else None)
        if op.kind == "delete" and op.outcome != "fail":
            deleted.add(op.name)
    candidates = defaultdict(list)
    for attempt in load.attempts:
        candidates[attempt.name].append(attempt)
    for row in rows:
        likely = [each for each in candidates[row.name] if "ok" in outcomes[each.id]]
        others = [each for each in candidates[row.name] if each not in likely]
        opened = [_opens(attempt, client) for attempt in likely]
        if not any(opened) and row.name not in deleted:
            others.sort(key=lambda attempt: "unknown" not in outcomes[attempt.id])
            any(_opens(attempt, client) for attempt in others)


def _opens(attempt: Attempt, client: RegistrationClient) -> bool:
    return await_response(partial(client.login, attempt)).status == 201


def await_response(send: Callable[[], Operation]) -> Operation:
    """Send until the service gives a definite response, within bounds."""
    for _ in range(TRIES):
        operation = send()
        if operation.status not in (None, 429, 503):
            break
        time.sleep(PAUSE)
    return operation
