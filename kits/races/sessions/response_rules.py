"""Rules about single responses: their status, what they do to the cookie, and when they come."""

from __future__ import annotations

from collections.abc import Iterator

from kits.races.sessions.evidence import RENEWING, Evidence
from kits.races.violation import Violation

STATUSES = {
    "register": {201, 429, 503},
    "login": {201, 401, 429, 503},
    "read": {200, 401, 503},
    "list": {200, 401, 503},
    "data": {200, 503},
    "write": {200, 503},
    "logout": {204, 503},
    "revoke": {204, 401, 404, 503},
    "others": {200, 401, 503},
    "all": {200, 401, 503},
    "change": {204, 401, 403, 429, 503},
    "close": {204, 401, 403, 429, 503},
}
LONGEST = 1.5  # seconds, with Redis paused
# Kinds that need no Postgres.
REDIS_ONLY = {"read", "list", "data", "write", "logout", "revoke"}


def status_is_documented(evidence: Evidence) -> Iterator[Violation]:
    """Every status is in the contract; 500 never is. What renews the id brings a new one."""
    for op in evidence.operations:
        if op.status is not None and op.status not in STATUSES[op.kind]:
            what = f"{op.status} to {op.kind} {op.number}"
            yield Violation("status_is_documented", op.name, what)
        elif op.kind in ("login", *RENEWING) and op.outcome == "ok" and not op.issued:
            yield Violation("status_is_documented", op.name, f"no id from {op.kind} {op.number}")


def outage_is_no_logout(evidence: Evidence) -> Iterator[Violation]:
    """G10: 503 says when to retry and leaves the cookie alone, unless the session has a new id
    already. A response deletes a cookie only if its request has ended that session."""
    for op in evidence.operations:
        if op.status == 503 and (op.cleared or (op.issued and op.kind not in RENEWING)):
            yield Violation("outage_is_no_logout", op.name, f"503 {op.number} with Set-Cookie")
        if op.status == 503 and not op.retry_after:
            yield Violation("outage_is_no_logout", op.name, f"503 {op.number}, no Retry-After")
        own = op.kind in ("logout", "all", "close") or op.target == op.session is not None
        if op.cleared and not (own and op.outcome == "ok"):
            what = f"{op.kind} {op.number} deletes the cookie"
            yield Violation("outage_is_no_logout", op.name, what)


def every_request_is_answered(evidence: Evidence) -> Iterator[Violation]:
    """Only the requests to a killed worker get no response."""
    killings = [fault for fault in evidence.faults if fault.kind.startswith("worker")]
    for op in evidence.operations:
        if op.status is None and not any(
            op.invoked <= fault.ended and fault.started <= op.completed for fault in killings
        ):
            what = f"{op.kind} {op.number}: {op.error}"
            yield Violation("every_request_is_answered", op.name, what)


def redis_paused_is_in_time(evidence: Evidence) -> Iterator[Violation]:
    """G10: while Redis accepts connections and does not answer, every response comes within
    1.5 s."""
    pauses = [fault for fault in evidence.faults if fault.kind.startswith("redis_paused")]
    for op in evidence.operations:
        paused = any(fault.started <= op.invoked <= fault.ended for fault in pauses)
        if paused and op.took > LONGEST:
            what = f"{op.kind} {op.number} took {op.took:.1f} s"
            yield Violation("redis_paused_is_in_time", op.name, what)


def reading_needs_no_postgres(evidence: Evidence) -> Iterator[Violation]:
    """While Postgres is away, signed-in users notice nothing, and can sign out."""
    outages = [fault for fault in evidence.faults if fault.kind.startswith("postgres")]
    for op in evidence.operations:
        during = any(f.started <= op.invoked and op.completed <= f.ended for f in outages)
        if during and op.kind in REDIS_ONLY and op.status == 503:
            what = f"503 to {op.kind} {op.number}"
            yield Violation("reading_needs_no_postgres", op.name, what)
