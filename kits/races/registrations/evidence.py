"""What the checker of registrations examines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from kits.races.history import Cost, FaultSpan, RegistrationOperation, Row


@dataclass(frozen=True)
class Evidence:
    """The history and the final rows, indexed for the rules."""

    operations: Sequence[RegistrationOperation]
    rows: Sequence[Row]
    costs: Sequence[Cost] = ()
    faults: Sequence[FaultSpan] = ()

    @cached_property
    def row_of(self) -> dict[str, Row]:
        """The row of each name."""
        return {row.name: row for row in self.rows}

    @cached_property
    def owner_of(self) -> dict[str, str]:
        """For each name, the attempt whose password opens the account, or that deleted it."""
        gone = {name for name, row in self.row_of.items() if row.retired is not False}
        left = {name: op.attempt for name, op in self.deletions.items() if name in gone}
        return left | {op.name: op.attempt for op in self.logins if op.status == 201}

    @cached_property
    def deletions(self) -> dict[str, RegistrationOperation]:
        """The first deletion of each name that took effect or may have."""
        deleting = [op for op in self.operations if op.kind == "delete" and op.outcome != "fail"]
        return {op.name: op for op in sorted(deleting, key=lambda op: -op.invoked)}

    @cached_property
    def attempts(self) -> dict[str, list[RegistrationOperation]]:
        """The registrations of each attempt, in order of invocation."""
        grouped = defaultdict(list)
        for operation in sorted(self.registrations, key=lambda op: op.invoked):
            grouped[operation.attempt].append(operation)
        return grouped

    @cached_property
    def registrations(self) -> list[RegistrationOperation]:
        """The operations that register a name."""
        return [op for op in self.operations if op.registers]

    @cached_property
    def logins(self) -> list[RegistrationOperation]:
        """The operations that determine whose an account is."""
        return [op for op in self.operations if op.kind == "login"]

    def committed_after(self, name: str) -> float | None:
        """A time before which the row of `name` was not committed: that of its commit if known,
        otherwise that of its owner's first request. None: no row."""
        if (row := self.row_of.get(name)) is None:
            return None
        if row.committed is not None:
            return row.committed
        owner = self.owner_of.get(name)
        return self.attempts[owner][0].invoked if owner in self.attempts else 0.0
