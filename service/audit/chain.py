"""The hash chains of the audit trail, and where one is broken.

A row's hash is the SHA-256 of a JSON array of its fields, which end in the hash of the row before.
The trigger in service/storage/schema/0004.audit.sql computes it; here it is computed again, from
rows as `audit export` writes them. There, `particulars` is text: whoever parses JSON may change
what it says, or fail on it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

Row = dict[str, Any]  # as exported

COVERED = (
    "chain",
    "seq",
    "id",
    "at",
    "account_id",
    "event",
    "particulars",
    "address",
    "device",
    "session",
    "previous",
)


class Head(NamedTuple):
    """The last row of a chain, and the last one that has been pruned."""

    seq: int
    hash: str
    pruned: int


class Chain(NamedTuple):
    """A chain with its rows, by `seq`, and its head, if it has one."""

    number: int
    rows: Iterable[Row]
    head: Head | None


@dataclass(frozen=True)
class Break:
    """Where a chain is not what it was."""

    chain: int
    seq: int
    reason: str

    def __str__(self) -> str:
        return f"chain {self.chain}, row {self.seq}: {self.reason}"


def hash_of(row: Row) -> str:
    """What the hash of a row must be, in hexadecimal."""
    text = json.dumps([row[name] for name in COVERED], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def breaks(number: int, rows: Iterable[Row], head: Head | None) -> Iterator[Break]:
    """Every place where a chain is broken; the arguments are the parts of a `Chain`."""
    seq = head.pruned if head else 0
    last = None if seq else ""  # nobody knows the hash of a row that has been pruned
    for row in rows:
        if row["seq"] != seq + 1:
            yield Break(number, seq + 1, "missing")
        elif last not in (None, row["previous"]):
            yield Break(number, row["seq"], "does not follow the one before it")
        if row["hash"] != hash_of(row):
            yield Break(number, row["seq"], "has been changed")
        seq, last = row["seq"], row["hash"]
    if head is None:
        yield Break(number, seq, "the chain has no head")
    elif head.seq != seq:
        yield Break(number, seq + 1, f"missing, as are all up to {head.seq}")
    elif last not in (None, head.hash):
        yield Break(number, seq, "is not the one that the chain ends with")
