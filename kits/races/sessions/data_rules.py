"""Rules about the data of a session, and about its account."""

from __future__ import annotations

from collections.abc import Iterator

from kits.races.sessions.evidence import Evidence
from kits.races.sessions.history import SessionOperation
from kits.races.sessions.lifetime_rules import was_alive
from kits.races.violation import Violation


def writes_are_kept(evidence: Evidence) -> Iterator[Violation]:
    """G7: a read finds every key whose write was acknowledged earlier, including those written
    before a rotation gave the session its id."""
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


def data_belong_to_the_session(evidence: Evidence) -> Iterator[Violation]:
    """A response contains no key of another session, and no value that was not written."""
    home = {op.key: op.issued or op.session for op in evidence.operations if op.key}
    for op in evidence.operations:
        session = op.issued or op.session
        if op.data is None or session is None:
            continue
        line = evidence.lineage(session)
        for key, value in op.data.items():
            if home.get(key) not in line or value != key:
                what = f"{op.kind} {op.number} shows {key}: {value}"
                yield Violation("data_belong_to_the_session", op.name, what)


def account_belongs_to_the_session(evidence: Evidence) -> Iterator[Violation]:
    """The account and the session in a response are those that signed in."""
    for op in evidence.operations:
        session = op.issued or op.session
        if op.owner is None or session is None:
            continue
        if op.owner.lower() != evidence.issue_of[session].name:
            what = f"{op.kind} {op.number} returns {op.owner}"
            yield Violation("account_belongs_to_the_session", op.name, what)
        if op.handle != session:
            what = f"{op.kind} {op.number} returns another session"
            yield Violation("account_belongs_to_the_session", op.name, what)


def _acknowledged(evidence: Evidence, op: SessionOperation) -> Iterator[SessionOperation]:
    """The writes that a read must show."""
    until = op.invoked
    for handle in evidence.lineage(op.session or ""):
        issue = evidence.issue_of[handle]
        for write in (*evidence.uses[handle], issue):
            done = write.kind == "write" and write.status == 200 and write.completed < until
            if done and handle == (write.issued or write.session):
                yield write
        until = min(until, issue.invoked)
