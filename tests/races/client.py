"""A client that wants names, and records what it does."""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import quote

from tests.races.caller import REQUEST_TIMEOUT, Caller
from tests.races.history import Operation


@dataclass(frozen=True)
class Attempt:
    """Somebody who wants a name: under one spelling, with one password."""

    id: str
    name: str  # canonical
    spelling: str
    password: str
    key: str | None = None  # the Idempotency-Key of every repetition


class Client(Caller):
    """Registers, asks for names, and logs in."""

    def register(
        self, attempt: Attempt, phase: str = "load", timeout: float = REQUEST_TIMEOUT
    ) -> Operation:
        """Ask for the name of an attempt. Gives up after `timeout` seconds."""
        headers = {"Idempotency-Key": attempt.key} if attempt.key else {}
        return self._operate("register", phase, attempt, "/api/v1/accounts", headers, timeout)

    def login(self, attempt: Attempt) -> Operation:
        """Find out whether the password of an attempt opens the account."""
        return self._operate("login", "verify", attempt, "/api/v1/sessions")

    def availability(self, name: str, spelling: str, phase: str = "load") -> Operation:
        """Ask whether a name is free."""
        path = f"/api/v1/usernames/{quote(spelling)}"
        return self._operate("availability", phase, Attempt("", name, spelling, ""), path)

    def _operate(
        self,
        kind: str,
        phase: str,
        attempt: Attempt,
        path: str,
        headers: dict[str, str] | None = None,
        timeout: float = REQUEST_TIMEOUT,
    ) -> Operation:
        body = {"username": attempt.spelling, "password": attempt.password}
        number, invoked = self._history.invoke(kind, phase, attempt.name, attempt=attempt.id)
        if attempt.password:
            answer = self._send("POST", path, body, headers, timeout)
        else:
            answer = self._send("GET", path, timeout=timeout)
        operation = Operation(
            number=number,
            kind=kind,
            phase=phase,
            name=attempt.name,
            spelling=attempt.spelling,
            attempt=attempt.id,
            keyed=attempt.key is not None,
            invoked=invoked,
            completed=time.monotonic(),
            status=answer.status,
            account=(answer.members.get("account") or {}).get("id"),
            reason=answer.members.get("reason"),
            error=answer.error,
        )
        self._history.complete(operation)
        return operation
