"""What the checker looks at, and what it finds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from kits.races.history import Cost, FaultSpan, Operation, Row


@dataclass(frozen=True)
class Violation:
    """A rule that was broken, and where."""

    rule: str
    name: str
    what: str


@dataclass(frozen=True)
class Evidence:
    """What the rules look at."""

    operations: Sequence[Operation]
    rows: Sequence[Row]
    costs: Sequence[Cost] = ()
    faults: Sequence[FaultSpan] = ()

    @cached_property
    def row_of(self) -> dict[str, Row]:
        """The row of a name."""
        return {row.name: row for row in self.rows}

    @cached_property
    def owner_of(self) -> dict[str, str]:
        """The attempt whose password opens the account of a name, or that deleted it."""
        gone = {name for name, row in self.row_of.items() if row.retired is not False}
        left = {name: op.attempt for name, op in self.deletions.items() if name in gone}
        return left | {op.name: op.attempt for op in self.logins if op.status == 201}

    @cached_property
    def deletions(self) -> dict[str, Operation]:
        """The first deletion of each name that took effect, or may have."""
        deleting = [op for op in self.operations if op.kind == "delete" and op.outcome != "fail"]
        return {op.name: op for op in sorted(deleting, key=lambda op: -op.invoked)}

    @cached_property
    def attempts(self) -> dict[str, list[Operation]]:
        """The registrations of each attempt, in the order of their invocation."""
        grouped = defaultdict(list)
        for operation in sorted(self.registrations, key=lambda op: op.invoked):
            grouped[operation.attempt].append(operation)
        return grouped

    @cached_property
    def registrations(self) -> list[Operation]:
        """The operations that register."""
        return [op for op in self.operations if op.registers]

    @cached_property
    def logins(self) -> list[Operation]:
        """The operations that find out whose an account is."""
        return [op for op in self.operations if op.kind == "login"]

    def committed_after(self, name: str) -> float | None:
        """A moment before which the row of `name` was not committed: when it was, if that is
        known; if not, when its owner first asked. None: no row."""
        if (row := self.row_of.get(name)) is None:
            return None
        if row.committed is not None:
            return row.committed
        owner = self.owner_of.get(name)
        return self.attempts[owner][0].invoked if owner in self.attempts else 0.0
