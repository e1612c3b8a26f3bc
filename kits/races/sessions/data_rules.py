"""Rules about what a session holds, and whose it is."""

from __future__ import annotations

from collections.abc import Iterator

from kits.races.registrations.evidence import Violation
from kits.races.sessions.evidence import Evidence
from kits.races.sessions.history import SessionOperation
from kits.races.sessions.lifetime_rules import was_alive


def writes_are_kept(evidence: Evidence) -> Iterator[Violation]:
    """G7: whoever reads a session finds every key whose writing was acknowledged before; those of
    the session that it was before a rotation too."""
    for op in evidence.operations:
        if op.data is None or op.issued or not op.session:
            continue
        if evidence.may_have_ended(op.session, op) and not was_alive(op):
            continue
        for write in _acknowledged(evidence, op):
            known = evidence.lasts(write.invoked, op.completed)
            if write.key not in op.data and known:
                what = f"{op.kind} {op.number} lacks what {write.number} wrote"
                yield Violation("writes_are_kept", op.name, what)


def data_are_ones_own(evidence: Evidence) -> Iterator[Violation]:
    """Nobody is shown a key of another session, or another value than was written."""
    home = {op.key: op.issued or op.session for op in evidence.operations if op.key}
    for op in evidence.operations:
        session = op.issued or op.session
        if op.data is None or session is None:
            continue
        line = evidence.lineage(session)
        for key, value in op.data.items():
            if home.get(key) not in line or value != key:
                what = f"{op.kind} {op.number} shows {key}: {value}"
                yield Violation("data_are_ones_own", op.name, what)


def account_is_ones_own(evidence: Evidence) -> Iterator[Violation]:
    """The account and the session in an answer are those that signed in."""
    for op in evidence.operations:
        session = op.issued or op.session
        if op.owner is None or session is None:
            continue
        if op.owner.lower() != evidence.issue_of[session].name:
            what = f"{op.kind} {op.number} answers with {op.owner}"
            yield Violation("account_is_ones_own", op.name, what)
        if op.handle != session:
            what = f"{op.kind} {op.number} answers with another session"
            yield Violation("account_is_ones_own", op.name, what)


def _acknowledged(evidence: Evidence, op: SessionOperation) -> Iterator[SessionOperation]:
    """The writes that a reading must show."""
    until = op.invoked
    for handle in evidence.lineage(op.session or ""):
        issue = evidence.issue_of[handle]
        for write in (*evidence.uses[handle], issue):
            done = write.kind == "write" and write.status == 200 and write.completed < until
            if done and handle == (write.issued or write.session):
                yield write
        until = min(until, issue.invoked)
