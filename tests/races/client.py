"""A client of the service that records what it does."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

from tests.races.history import History, Operation

REQUEST_TIMEOUT = 15.0  # seconds; the service gives up before that
METRIC = re.compile(r"^(\w+)(?:\{[^}]*\})? ([0-9.e+]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Attempt:
    """Somebody who wants a name: under one spelling, with one password."""

    id: str
    name: str  # canonical
    spelling: str
    password: str
    key: str | None = None  # the Idempotency-Key of every repetition


@dataclass(frozen=True)
class Answer:
    """What came back; without a status: nothing, for the reason in `error`."""

    status: int | None = None
    body: Any = None
    error: str | None = None


class Client:
    """Sends requests to the service, each on a connection of its own, so that any worker may get
    it. Any thread may use it."""

    def __init__(self, url: str, history: History) -> None:
        parts = urlsplit(url)
        self._connect: Callable[..., http.client.HTTPConnection] = http.client.HTTPConnection
        if parts.scheme == "https":
            tls = ssl.create_default_context()  # once: it is slow
            self._connect = partial(http.client.HTTPSConnection, context=tls)
        self._address, self._path = parts.netloc, parts.path.rstrip("/")
        self._history = history

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

    def metric(self, name: str) -> int | None:
        """A counter of the service, summed over its labels; None if it does not tell."""
        answer = self._send("/metrics")
        if answer.status != 200:
            return None
        values = [value for found, value in METRIC.findall(answer.body) if found == name]
        return sum(int(float(value)) for value in values)

    def is_ready(self) -> bool:
        """Whether the service says that it can serve, in full."""
        answer = self._send("/readyz")
        return answer.status == 200 and answer.body.get("status") == "ready"

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
        number, invoked = self._history.invoke(kind, phase, attempt.name, attempt.id)
        answer = self._send(path, body if attempt.password else None, headers or {}, timeout)
        found = answer.body if isinstance(answer.body, dict) else {}
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
            account=(found.get("account") or {}).get("id"),
            reason=found.get("reason"),
            error=answer.error,
        )
        self._history.complete(operation)
        return operation

    def _send(
        self,
        path: str,
        body: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = REQUEST_TIMEOUT,
    ) -> Answer:
        """GET, or POST if there is a body."""
        headers = {"Accept": "application/json", "Connection": "close"} | (headers or {})
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = self._connect(self._address, timeout=timeout)
        try:
            connection.request(
                "GET" if body is None else "POST",
                self._path + path,
                None if body is None else json.dumps(body).encode(),
                headers,
            )
            response = connection.getresponse()
            return Answer(response.status, _content(response))
        except (OSError, http.client.HTTPException, ValueError) as problem:
            return Answer(error=f"{type(problem).__name__}: {problem}")
        finally:
            connection.close()


def _content(response: http.client.HTTPResponse) -> Any:
    text = response.read().decode()
    return json.loads(text) if "json" in response.headers.get("Content-Type", "") else text
