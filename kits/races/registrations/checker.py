"""The checker of registrations: what must be true of every history, whatever broke meanwhile.

Rules are pure functions of what was recorded; each yields the violations that it finds. G1 to G5
are the guarantees of the service.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

from kits.races.history import SUCCESSES
from kits.races.registrations.evidence import Evidence
from kits.races.violation import Violation

STATUSES = {
    "register": {201, 409, 422, 429, 503},
    "form": {201, 303, 409, 422, 429, 503},
    "availability": {200, 429, 503},
    "login": {201, 401, 429, 503},
    "delete": {204, 401, 429, 503},
}


Rule = Callable[[Evidence], Iterator[Violation]]


def check(evidence: Evidence) -> list[Violation]:
    """Every violation of every rule."""
    return [violation for rule in RULES for violation in rule(evidence)]


def one_account(evidence: Evidence) -> Iterator[Violation]:
    """G1: there is at most one account for a canonical name, including deleted accounts, because
    the quarantine is longer than any run."""
    accounts = defaultdict(list)
    for row in evidence.rows:
        accounts[row.name].append(row.account)
    for name, found in accounts.items():
        if len(found) > 1:
            yield Violation("one_account", name, f"{len(found)} rows: accounts {found}")
    succeeded = defaultdict(set)
    for op in evidence.registrations:
        if op.outcome == "ok":
            succeeded[op.name].add((op.attempt, op.account))
    for name, winners in succeeded.items():
        if len(winners) > 1:
            yield Violation("one_account", name, f"success for {sorted(winners)}")


def success_kept(evidence: Evidence) -> Iterator[Violation]:
    """G3: a success is in the final rows, and its password opens the account unless its owner has
    deleted it."""
    for op in evidence.registrations:
        if op.outcome != "ok":
            continue
        row = evidence.row_of.get(op.name)
        if row is None:
            yield Violation("success_kept", op.name, f"{op.status} to {op.attempt}, and no row")
        elif None not in (row.account, op.account) and row.account != op.account:
            what = f"201 for account {op.account}, the row is account {row.account}"
            yield Violation("success_kept", op.name, what)
        elif evidence.owner_of.get(op.name) != op.attempt:
            yield Violation("success_kept", op.name, f"the password of {op.attempt} is rejected")


def taken_is_true(evidence: Evidence) -> Iterator[Violation]:
    """G2: 409, and "taken" as availability, are given only for a name whose row was committed by
    then."""
    for op in evidence.operations:
        if not (op.registers and op.status == 409) and op.reason != "taken":
            continue
        committed = evidence.committed_after(op.name)
        said = "409" if op.status == 409 else "“taken”"
        if committed is None:
            yield Violation("taken_is_true", op.name, f"{said} to {op.attempt}, and no row")
        elif op.completed < committed:
            early = committed - op.completed
            yield Violation("taken_is_true", op.name, f"{said} {early:.3f} s before the commit")


def free_is_true(evidence: Evidence) -> Iterator[Violation]:
    """G3: once a registration has succeeded, the name is never reported as available again."""
    won: dict[str, float] = {}
    for op in evidence.registrations:
        if op.outcome == "ok":
            won[op.name] = min(op.completed, won.get(op.name, op.completed))
    for op in evidence.operations:
        free = op.kind == "availability" and op.status == 200 and op.reason is None
        if free and op.invoked > won.get(op.name, float("inf")):
            yield Violation("free_is_true", op.name, "reported as available after a success")


def own_success_is_no_conflict(evidence: Evidence) -> Iterator[Violation]:
    """G3: while a client keeps its account, it never gets "taken" because of that account. Without
    an Idempotency-Key or a form, this holds until a response is lost."""
    for attempt, operations in evidence.attempts.items():
        name = operations[0].name
        if evidence.owner_of.get(name) != attempt:
            continue
        deletion = evidence.deletions.get(name)
        kept_until = deletion.invoked if deletion else float("inf")
        excused = False
        for op in operations:
            if op.completed < kept_until and op.status == 409 and (op.keyed or not excused):
                yield Violation(
                    "own_success_is_no_conflict", op.name, f"409 to its owner {attempt}"
                )
            excused = excused or op.outcome == "unknown"


def row_was_requested(evidence: Evidence) -> Iterator[Violation]:
    """Every row was requested: both its name and its password were sent."""
    requested = {op.name for op in evidence.registrations}
    for row in evidence.rows:
        if row.name not in requested:
            yield Violation("row_was_requested", row.name, "no client requested this name")
        elif evidence.owner_of.get(row.name) not in evidence.attempts:
            yield Violation("row_was_requested", row.name, "opens with no password that was sent")


def name_stays_free(evidence: Evidence) -> Iterator[Violation]:
    """A name without a row can be registered once a claim has had time to expire."""
    last = {op.name: op for op in evidence.registrations if op.phase == "probe"}
    for name in sorted({op.name for op in evidence.registrations}):
        if name in last and last[name].status != 201:
            yield Violation("name_stays_free", name, f"cannot be registered: {last[name].status}")
        elif name not in last and name not in evidence.row_of:
            yield Violation("name_stays_free", name, "no row, and no client tried again")


def unknown_is_resolved(evidence: Evidence) -> Iterator[Violation]:
    """A client learns an unknown outcome by repeating the request with its key."""
    for attempt, operations in evidence.attempts.items():
        last = operations[-1]
        doubtful = last.keyed and any(op.outcome == "unknown" for op in operations)
        if doubtful and last.status not in (*SUCCESSES, 409):
            yield Violation("unknown_is_resolved", last.name, f"{attempt} never learned it")


def form_signs_in(evidence: Evidence) -> Iterator[Violation]:
    """A form that redirects with 303 has signed its sender in."""
    for op in evidence.registrations:
        if op.status == 303 and not op.signed_in:
            yield Violation("form_signs_in", op.name, f"303 to {op.attempt}, and no session")


def deleted_stays_deleted(evidence: Evidence) -> Iterator[Violation]:
    """After a deletion, no password opens the account, no client registers the name, and the row
    that keeps it taken remains."""
    deleted = {op.name: op.completed for op in evidence.operations if op.status == 204}
    for op in evidence.operations:
        if op.status in SUCCESSES and op.invoked > deleted.get(op.name, float("inf")):
            yield Violation("deleted_stays_deleted", op.name, f"{op.status} to {op.kind}")
    for name in deleted:
        row = evidence.row_of.get(name)
        if row is None or row.retired is False:
            what = "its account is still there" if row else "its row is gone"
            yield Violation("deleted_stays_deleted", name, what)


def full_redis_blocks_no_registration(evidence: Evidence) -> Iterator[Violation]:
    """G5: while Redis rejects every write, registration continues through the index: for no name
    do all clients get 503."""
    for fault in evidence.faults:
        statuses_of = defaultdict(set)
        for op in evidence.registrations:
            if fault.started < op.invoked and op.completed < fault.ended:
                statuses_of[op.name].add(op.status)
        for name, statuses in statuses_of.items():
            if fault.kind == "redis_full" and statuses == {503}:
                yield Violation("full_redis_blocks_no_registration", name, "503 to every client")


def status_is_documented(evidence: Evidence) -> Iterator[Violation]:
    """Every status is in the contract; 500 never is."""
    for op in evidence.operations:
        if op.status is not None and op.status not in STATUSES[op.kind]:
            yield Violation("status_is_documented", op.name, f"{op.status} to {op.kind}")


def herd_costs_one(evidence: Evidence) -> Iterator[Violation]:
    """G4: a herd on a new name costs one hash and one INSERT over all workers. Two mean that a
    claim was granted twice, or released by an attempt that did not hold it."""
    for cost in evidence.costs:
        for what, count in (("hashes", cost.hashes), ("INSERTs", cost.inserts)):
            if count not in (1, None):
                found = f"{count} {what} for {cost.requests} requests"
                yield Violation("herd_costs_one", cost.name, found)


RULES: tuple[Rule, ...] = (
    one_account,
    success_kept,
    taken_is_true,
    free_is_true,
    own_success_is_no_conflict,
    row_was_requested,
    name_stays_free,
    unknown_is_resolved,
    form_signs_in,
    deleted_stays_deleted,
    full_redis_blocks_no_registration,
    status_is_documented,
    herd_costs_one,
)
