"""What the rules for sessions look at, put in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from kits.races.history import FaultSpan
from kits.races.sessions.history import SessionOperation

LOSING = {"redis_tail_lost", "redis_flushed"}  # faults after which Redis has forgotten something
ACCOUNT_WIDE = {"others", "all", "change", "close"}  # kinds that end more than one session
NO_EFFECT = {403, 422, 429}  # answers to something that did not happen


@dataclass(frozen=True)
class Evidence:
    """The operations, in the order of their invocation, and the faults."""

    operations: Sequence[SessionOperation]
    faults: Sequence[FaultSpan] = ()
    excuse_losses: bool = True  # False: as if Redis never forgot anything

    @cached_property
    def issue_of(self) -> dict[str, SessionOperation]:
        """The operation that a session came from."""
        return {op.issued: op for op in self.operations if op.issued}

    @cached_property
    def uses(self) -> dict[str, list[SessionOperation]]:
        """The operations that sent a session's id."""
        grouped = defaultdict(list)
        for op in self.operations:
            if op.session:
                grouped[op.session].append(op)
        return grouped

    @cached_property
    def of_account(self) -> dict[str, list[SessionOperation]]:
        """The operations about an account."""
        grouped = defaultdict(list)
        for op in self.operations:
            grouped[op.name].append(op)
        return grouped

    @cached_property
    def sessions_of(self) -> dict[str, list[str]]:
        """The sessions of an account."""
        grouped = defaultdict(list)
        for handle, op in self.issue_of.items():
            if op.kind != "write":
                grouped[op.name].append(handle)
        return grouped

    @cached_property
    def changes(self) -> dict[str, list[SessionOperation]]:
        """The acknowledged changes from a password, and closings with it. Every password is used
        for one account, and never again."""
        grouped = defaultdict(list)
        for op in self.operations:
            if op.kind in ("change", "close") and op.status == 204:
                grouped[op.password].append(op)
        return grouped

    @cached_property
    def enders(self) -> dict[str, list[SessionOperation]]:
        """For each session what may have ended it, acknowledged or not. What got no clear answer
        may come to pass later, and end a session that there was not yet."""
        found: dict[str, list[SessionOperation]] = defaultdict(list)
        for op in self.operations:
            if op.status in NO_EFFECT:
                continue
            if op.kind == "revoke" and op.target:
                found[op.target].append(op)
            elif op.kind in ("logout", "login") and op.session:
                found[op.session].append(op)
            elif op.kind in ACCOUNT_WIDE:
                for handle in self.sessions_of[op.name]:
                    issue = self.issue_of[handle]
                    late = op.outcome == "unknown" or issue.invoked < op.completed
                    if late and op is not issue:
                        found[handle].append(op)
        return found

    @cached_property
    def ends(self) -> dict[str, list[SessionOperation]]:
        """For each session what is known to have ended it once it was acknowledged."""
        return {
            handle: [op for op in enders if op.outcome == "ok" and self._surely_ends(op, handle)]
            for handle, enders in self.enders.items()
        }

    def _surely_ends(self, op: SessionOperation, handle: str) -> bool:
        issue = self.issue_of.get(handle)
        if issue is None or handle == op.issued:
            return False
        if op.kind not in ACCOUNT_WIDE or (op.kind == "change" and handle == op.session):
            return True
        if op.kind == "others" and handle == op.session:
            return False
        if op.kind in ("change", "close") and self.opened_with(handle) == op.password:
            return True  # however late it came into being
        return issue.completed < op.invoked

    def had_ended(self, handle: str, op: SessionOperation) -> SessionOperation | None:
        """What had ended a session before an operation began, if anything is known to."""
        if not self.remembered(handle, op):
            return None
        ends = self.ends.get(handle, ())
        return next((end for end in ends if end.completed < op.invoked), None)

    def may_have_ended(self, handle: str, op: SessionOperation) -> bool:
        """Whether something else may have ended a session before an operation was over."""
        if not self.remembered(handle, op):
            return True
        enders = self.enders.get(handle, ())
        return any(end.invoked < op.completed and end is not op for end in enders)

    def remembered(self, handle: str, op: SessionOperation) -> bool:
        """Whether Redis forgot nothing from the issue of a session to the end of an operation.

        Half a script that a torn log ends with comes to life with the next restart but one (Redis
        6.2 leaves its MULTI open): so an older session may be back long after the loss.
        """
        issue = self.issue_of.get(handle)
        return issue is None or self.lasts(issue.invoked, op.completed)

    def opened_with(self, handle: str) -> str | None:
        """The account's password at the time that a session came from."""
        issue = self.issue_of[handle]
        return issue.new_password if issue.kind == "change" else issue.password

    def lineage(self, handle: str) -> list[str]:
        """A session, and those whose data it took over, the youngest first."""
        line = [handle]
        while (issue := self.issue_of.get(line[-1])) and issue.session:
            if not self._takes_over(issue):
                break
            line.append(issue.session)
        return line

    def _takes_over(self, issue: SessionOperation) -> bool:
        """A rotation takes the data along; a sign-in only those of somebody anonymous."""
        if issue.kind == "change":
            return True
        parent = self.issue_of.get(issue.session or "")
        return issue.kind == "login" and parent is not None and parent.kind == "write"

    def lasts(self, begin: float, end: float) -> bool:
        """Whether Redis forgot nothing between two moments."""
        return not self.excuse_losses or not any(
            fault.started <= end and begin <= fault.ended
            for fault in self.faults
            if fault.kind in LOSING
        )
