"""The history of a run: every operation, invoked and then ok, failed or unknown, and every fault.

The vocabulary is Jepsen's (K. Kingsbury, https://jepsen.io; its checker Knossos follows Herlihy and
Wing, "Linearizability", 1990). An operation is unknown if the response does not tell whether it
took effect: the client gave up, the connection was cut, or the service itself says so with 503.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, TextIO

SUCCESSES = (201, 303)  # of a registration; 303 is the form's


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One request and its response. Times are in seconds on this machine's monotonic clock."""

    number: int
    kind: str
    phase: str  # load, resolve, probe or verify
    name: str  # the canonical username
    invoked: float
    completed: float
    status: int | None  # None: no response
    error: str | None = None  # why there is no response

    @property
    def outcome(self) -> str:
        """ok, fail or unknown."""
        if self.status is None or self.status == 503:
            return "unknown"
        return "ok" if 200 <= self.status < 400 else "fail"

    @property
    def took(self) -> float:
        """Seconds until the response came."""
        return self.completed - self.invoked


@dataclass(frozen=True, kw_only=True)
class RegistrationOperation(Operation):
    """A request about a name: register (through the API), form, availability, login or delete."""

    spelling: str
    attempt: str  # identifies a client with one password; a repetition has the same
    keyed: bool  # with an Idempotency-Key, like every form
    account: int | None = None  # its id, from a 201
    reason: str | None = None  # in the response about availability
    signed_in: bool = False  # the response contains a session

    @property
    def registers(self) -> bool:
        """Whether it registers the name, through the API or the form."""
        return self.kind in ("register", "form")


@dataclass(frozen=True)
class Row:
    """A name in the service's table at the end of a run."""

    name: str
    account: int | None = None  # None: not visible from outside
    committed: float | None = None  # when; None: not known
    retired: bool | None = None  # its account was deleted; None: not visible from outside


@dataclass(frozen=True)
class Cost:
    """What one herd on a new name cost while nothing else ran."""

    name: str
    requests: int
    hashes: int | None  # None: /metrics is not available
    inserts: int


@dataclass(frozen=True)
class FaultSpan:
    """A fault, from its injection until it is healed."""

    kind: str
    started: float
    ended: float
    happened: bool  # False: it did not happen, for example because no request reached its step


class History:
    """Records a run, in memory and as JSON lines. Any thread may record."""

    def __init__(self, lines: TextIO) -> None:
        self.operations: list[Any] = []  # Exchanges, all of one kind
        self.faults: list[FaultSpan] = []
        self.costs: list[Cost] = []
        self.started = time.monotonic()
        self._lines = lines
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._write({"type": "start", "time": self.started, "clock": time.time()})

    def invoke(self, kind: str, phase: str, name: str, **more: object) -> tuple[int, float]:
        """Record that an operation begins; returns its number and the time."""
        number, now = next(self._numbers), time.monotonic()
        line = {"type": "invoke", "time": now, "number": number, "kind": kind}
        self._write({**line, "phase": phase, "name": name, **_given(more)})
        return number, now

    def complete(self, operation: Operation) -> None:
        """Record how an operation ended."""
        self.operations.append(operation)
        self._write(
            {"type": operation.outcome, "time": operation.completed, **_given(asdict(operation))}
        )

    @contextmanager
    def fault(self, kind: str) -> Iterator[list[str]]:
        """Record a fault. If it does not happen, the block appends the reason to the list."""
        started, missed = time.monotonic(), list[str]()
        self._write({"type": "fault", "event": "inject", "time": started, "fault": kind})
        try:
            yield missed
        finally:
            ended = time.monotonic()
            self.faults.append(FaultSpan(kind, started, ended, not missed))
            line = {"type": "fault", "event": "heal", "time": ended, "fault": kind}
            self._write({**line, **({"missed": missed[0]} if missed else {})})

    def cost(self, cost: Cost) -> None:
        """Record what a herd cost."""
        self.costs.append(cost)
        self._write({"type": "cost", "time": time.monotonic(), **asdict(cost)})

    def row(self, row: Row) -> None:
        """Record a row at the end."""
        self._write({"type": "row", **asdict(row)})

    def _write(self, line: dict[str, object]) -> None:
        with self._lock:
            print(json.dumps(line, ensure_ascii=False), file=self._lines, flush=True)


def _given(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}
