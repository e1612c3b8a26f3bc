"""The history of sessions, indexed for the rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from kits.races.history import FaultSpan
from kits.races.sessions.history import SessionOperation

LOSING = {"redis_tail_lost", "redis_flushed"}  # faults that destroy some of Redis's data
ACCOUNT_WIDE = {"others", "all", "change", "close"}  # kinds that end more than one session
RENEWING = {"others", "change"}  # those of them that give their own session a new id
NO_EFFECT = {403, 422, 429}  # statuses of requests that change nothing


@dataclass(frozen=True)
class Evidence:
    """The operations, in order of invocation, and the faults."""

    operations: Sequence[SessionOperation]
    faults: Sequence[FaultSpan] = ()
    excuse_losses: bool = True  # False: as if no fault destroyed Redis's data

    @cached_property
    def issue_of(self) -> dict[str, SessionOperation]:
        """The operation that issued each session."""
        return {op.issued: op for op in self.operations if op.issued}

    @cached_property
    def uses(self) -> dict[str, list[SessionOperation]]:
        """The operations that sent the id of each session."""
        grouped = defaultdict(list)
        for op in self.operations:
            if op.session:
                grouped[op.session].append(op)
        return grouped

    @cached_property
    def of_account(self) -> dict[str, list[SessionOperation]]:
        """The operations of each account."""
        grouped = defaultdict(list)
        for op in self.operations:
            grouped[op.name].append(op)
        return grouped

    @cached_property
    def sessions_of(self) -> dict[str, list[str]]:
        """The sessions of each account, without anonymous ones."""
        grouped = defaultdict(list)
        for handle, op in self.issue_of.items():
            if op.kind != "write":
                grouped[op.name].append(handle)
        return grouped

    @cached_property
    def changes(self) -> dict[str, list[SessionOperation]]:
        """For each password, the acknowledged changes from it and closings with it. Every password
        belongs to one account, and never returns."""
        grouped = defaultdict(list)
        for op in self.operations:
            if op.kind in ("change", "close") and op.status == 204:
                grouped[op.password].append(op)
        return grouped

    @cached_property
    def enders(self) -> dict[str, list[SessionOperation]]:
        """For each session, what may have ended it, acknowledged or not. An operation with an
        unknown outcome may take effect later, and then end a session that is issued meanwhile."""
        found: dict[str, list[SessionOperation]] = defaultdict(list)
        for op in self.operations:
            if op.status in NO_EFFECT:
                continue
            if ended := op.target if op.kind == "revoke" else op.session:
                if op.kind in ("revoke", "logout", "login"):
                    found[ended].append(op)
                if op.kind in ("revoke", "logout"):
                    for handle in self._renewals_during(op, ended):
                        found[handle].append(op)
            if op.kind in ACCOUNT_WIDE:
                for handle in self.sessions_of[op.name]:
                    issue = self.issue_of[handle]
                    late = op.outcome == "unknown" or issue.invoked < op.completed
                    if late and op is not issue:
                        found[handle].append(op)
        return found

    def _renewals_during(self, op: SessionOperation, handle: str) -> list[str]:
        """The ids that a session got while an operation was ending it: the end follows it there."""
        return [
            issue.issued
            for issue in self.uses[handle]
            if issue.kind in RENEWING and issue.issued and op.invoked < issue.completed
        ]

    @cached_property
    def ends(self) -> dict[str, list[SessionOperation]]:
        """For each session, what certainly ended it by the time it was acknowledged."""
        return {
            handle: [op for op in enders if op.outcome == "ok" and self._surely_ends(op, handle)]
            for handle, enders in self.enders.items()
        }

    def _surely_ends(self, op: SessionOperation, handle: str) -> bool:
        issue = self.issue_of.get(handle)
        if issue is None or handle == op.issued:
            return False
        if op.kind not in ACCOUNT_WIDE or (op.kind in RENEWING and handle == op.session):
            return True
        if op.kind in ("change", "close") and self.opened_with(handle) == op.password:
            return True  # however late the session was issued
        return issue.completed < op.invoked

    def had_ended(self, handle: str, op: SessionOperation) -> SessionOperation | None:
        """What certainly ended a session before an operation began, if anything did."""
        if not self.remembered(handle, op):
            return None
        ends = self.ends.get(handle, ())
        return next((end for end in ends if end.completed < op.invoked), None)

    def may_have_ended(self, handle: str, op: SessionOperation) -> bool:
        """Whether something else may have ended a session before an operation completed."""
        if not self.remembered(handle, op):
            return True
        enders = self.enders.get(handle, ())
        return any(end.invoked < op.completed and end is not op for end in enders)

    def remembered(self, handle: str, op: SessionOperation) -> bool:
        """Whether Redis kept its data from the issue of a session to the end of an operation.

        An older session may come back long after a loss: if the torn log ends within a script,
        Redis 6.2 leaves its MULTI open, and runs that half with the second restart.
        """
        issue = self.issue_of.get(handle)
        return issue is None or self.lasts(issue.invoked, op.completed)

    def opened_with(self, handle: str) -> str | None:
        """The account's password when a session was issued."""
        issue = self.issue_of[handle]
        if issue.kind == "others" and issue.session in self.issue_of:
            return self.opened_with(issue.session)
        return issue.new_password if issue.kind == "change" else issue.password

    def lineage(self, handle: str) -> list[str]:
        """A session and those whose data it took over, the youngest first. A rotation keeps the
        data; a sign-in does not, not even those of an anonymous session."""
        line = [handle]
        while (issue := self.issue_of.get(line[-1])) and issue.session:
            if issue.kind not in RENEWING:
                break
            line.append(issue.session)
        return line

    def lasts(self, begin: float, end: float) -> bool:
        """Whether Redis kept its data between two times."""
        return not self.excuse_losses or not any(
            fault.started <= end and begin <= fault.ended
            for fault in self.faults
            if fault.kind in LOSING
        )
