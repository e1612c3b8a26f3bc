"""The audit trail as a file of JSON lines, which can be verified without the database.

Each chain is a line with its head, and then its rows. The last line says how many chains there are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from service.audit.chain import COVERED, Chain, Head, Row
from service.errors import StartupError

COLUMNS = frozenset({*COVERED, "hash"})


class NotAnExport(StartupError):
    """A file is not what `audit export` writes, or its end is missing."""


def exported(chains: Iterable[Chain]) -> Iterator[str]:
    """The lines of the file."""
    count = 0
    for chain in chains:
        count += 1
        yield json.dumps({"chain": chain.number, "head": chain.head and chain.head._asdict()})
        yield from map(json.dumps, chain.rows)
    yield json.dumps({"chains": count})


def chains_in(lines: Iterable[str]) -> Iterator[Chain]:
    """The chains in the file. Read the rows of each before the next.

    Raises:
        NotAnExport: with the number of the line at fault.
    """
    reading = _Reading(lines)
    count = 0
    while "head" in (line := reading.take()):
        count += 1
        yield Chain(line["chain"], reading.rows(), _head(line["head"], reading))
    if line.get("chains") != count:
        reading.fail()


class _Reading:
    """Goes through the lines."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = enumerate(lines, 1)
        self._number = 0
        self._next: dict[str, Any] | None = None  # a line that has been read too early

    def take(self) -> dict[str, Any]:
        """The next line."""
        if self._next is not None:
            line, self._next = self._next, None
            return line
        self._number, text = next(self._lines, (self._number + 1, ""))
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            self.fail()
        return found

    def rows(self) -> Iterator[Row]:
        """The rows up to the next head, or the end."""
        while (line := self.take()).keys() >= COLUMNS:
            if not isinstance(line["seq"], int):
                self.fail()
            yield line
        self._next = line

    def fail(self) -> NoReturn:
        """Raise NotAnExport."""
        raise NotAnExport(
            f"Line {self._number} is not what `audit export` writes there: it has been changed, or"
            " the end of the file is missing"
        )


def _head(found: Any, reading: _Reading) -> Head | None:
    if found is None:
        return None
    try:
        head = Head(**found)
    except TypeError:
        reading.fail()
    if not (isinstance(head.seq, int) and isinstance(head.pruned, int)):
        reading.fail()
    return head
