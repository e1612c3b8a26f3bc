"""Rules about sessions that must end, and about those that must not."""

from __future__ import annotations

from collections.abc import Iterator

from kits.races.sessions.evidence import RENEWING, Evidence
from kits.races.sessions.history import SessionOperation
from kits.races.violation import Violation

# Kinds that get 401 unless the session is signed in.
SIGNED_IN = {"read", "list", "revoke", "others", "all", "change", "close"}


def ended_is_ended(evidence: Evidence) -> Iterator[Violation]:
    """G6: once the end of a session is acknowledged, no later request with it succeeds. It ends by
    a logout, a revocation, a sign-in on the same device, a deletion, or a password change. The
    change also ends every session that the old password opens, however late. It and the
    revocation of all others replace the id of the session that requests it."""
    for handle in evidence.ends:
        for op in evidence.uses[handle]:
            if was_alive(op) and (end := evidence.had_ended(handle, op)):
                late = op.invoked - end.completed
                what = f"{op.kind} {op.number} {late:.3f} s after {end.kind} {end.number}"
                yield Violation("ended_is_ended", op.name, what)


def gone_stays_gone(evidence: Evidence) -> Iterator[Violation]:
    """An id that gets 401 once gets 401 forever."""
    for handle, operations in evidence.uses.items():
        gone = [op for op in operations if _was_gone(evidence, op)]
        if not gone:
            continue
        first = min(gone, key=lambda op: op.completed)
        for op in operations:
            after = first.completed < op.invoked and evidence.remembered(handle, op)
            if after and was_alive(op):
                what = f"{op.kind} {op.number} after 401 to {first.number}"
                yield Violation("gone_stays_gone", op.name, what)


def nobody_is_signed_out(evidence: Evidence) -> Iterator[Violation]:
    """G10: no session gets 401 unless a request ended it, not even during an outage."""
    for handle, operations in evidence.uses.items():
        for op in operations:
            if _was_gone(evidence, op) and not evidence.may_have_ended(handle, op):
                what = f"{op.kind} {op.number}: no request ended the session"
                yield Violation("nobody_is_signed_out", op.name, what)


def old_password_is_refused(evidence: Evidence) -> Iterator[Violation]:
    """G6: once a password change is acknowledged, the old password opens and changes nothing."""
    for op in evidence.operations:
        if op.kind not in ("login", "change", "close") or op.outcome != "ok":
            continue
        for change in evidence.changes.get(op.password or "", ()):
            again = change is op or (op.kind == "change" and op.new_password == change.new_password)
            if change.completed < op.invoked and not again:
                what = f"{op.kind} {op.number} after {change.kind} {change.number}"
                yield Violation("old_password_is_refused", op.name, what)


def password_changes_once(evidence: Evidence) -> Iterator[Violation]:
    """Of two changes from the same password to different ones, one fails."""
    for changes in evidence.changes.values():
        wanted = {op.new_password for op in changes if op.kind == "change"}
        if len(wanted) > 1:
            what = f"{len(wanted)} changes from the same password succeeded"
            yield Violation("password_changes_once", changes[0].name, what)


def devices_are_true(evidence: Evidence) -> Iterator[Violation]:
    """The list of devices contains every live session, no ended one, and none that no client
    opened."""
    for op in evidence.operations:
        if op.handles is None:
            continue
        for handle in op.handles:
            if evidence.had_ended(handle, op):
                yield Violation("devices_are_true", op.name, f"{op.number} lists an ended session")
            elif handle not in evidence.issue_of and not _has_opener(evidence, op):
                yield Violation("devices_are_true", op.name, f"{op.number} lists a stray session")
        for handle in set(evidence.sessions_of[op.name]).difference(op.handles):
            opened = evidence.issue_of[handle].completed < op.invoked
            if opened and not evidence.may_have_ended(handle, op):
                yield Violation("devices_are_true", op.name, f"{op.number} leaves out a session")


def was_alive(op: SessionOperation) -> bool:
    """Whether only a live session could get this response."""
    if op.kind in SIGNED_IN:
        return op.status in (200, 204, 403, 404)
    if op.data is None or op.issued or not op.session:
        return False
    return any(key != op.key for key in op.data)


def _was_gone(evidence: Evidence, op: SessionOperation) -> bool:
    """Whether the response shows that the session is gone. A closing, or what renews the id, can
    get 401 shortly before the session ends; an anonymous session always gets 401."""
    if op.kind == "write":
        return op.session is not None and op.issued is not None
    anonymous = evidence.issue_of[op.session or ""].kind == "write"
    unsure = anonymous or op.kind in RENEWING or op.kind == "close"
    return op.kind in SIGNED_IN and op.status == 401 and not unsure


def _has_opener(evidence: Evidence, listing: SessionOperation) -> bool:
    """Whether a session that no client has received can come from a sign-in with an unknown
    outcome that no revocation has overtaken. A registration that succeeds without a session is
    one: the store may have created the session after the service gave up."""
    for op in evidence.of_account[listing.name]:
        unknown = op.issued is None and (
            op.outcome == "unknown" or op.kind in ("others", "change", "register")
        )
        opens = op.kind in ("register", "login", *RENEWING) and op.invoked < listing.completed
        known = evidence.lasts(op.invoked, listing.completed)
        if unknown and opens and not (known and _was_overtaken(evidence, op, listing)):
            return True
    return False


def _was_overtaken(evidence: Evidence, opener: SessionOperation, listing: SessionOperation) -> bool:
    password = opener.new_password if opener.kind == "change" else opener.password
    by_password = evidence.changes.get(password or "", ())
    wide = [
        op
        for op in evidence.of_account[listing.name]
        if op.kind in ("others", "all", "change", "close")
        and op.outcome == "ok"
        and op.invoked > opener.completed
    ]
    return any(op.completed < listing.invoked for op in (*by_password, *wide))
