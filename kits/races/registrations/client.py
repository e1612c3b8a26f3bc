"""A client that wants names, and records what it does."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

from kits.races.history import SUCCESSES, History, Operation
from kits.races.http_client import FORM, REQUEST_TIMEOUT, Answer, Caller

SHOWN = re.compile(r'name="attempt" value="([^"]+)"')


@dataclass(frozen=True)
class Attempt:
    """Somebody who wants a name: under one spelling, with one password."""

    id: str
    name: str  # canonical
    spelling: str
    password: str
    key: str | None = None  # the Idempotency-Key of every repetition; of a form, what it hides
    form: bool = False  # by the page, not by the API


class Client(Caller):
    """Registers, asks for names, logs in, and deletes accounts."""

    def __init__(self, url: str, history: History) -> None:
        super().__init__(url, history)
        self._cookies: dict[str, str] = {}  # of the last session, by attempt
        self._shown: dict[str, str] = {}  # what the form hides that was shown again, by attempt

    def register(
        self, attempt: Attempt, phase: str = "load", timeout: float = REQUEST_TIMEOUT
    ) -> Operation:
        """Ask for the name of an attempt. Gives up after `timeout` seconds."""
        if attempt.form:
            send = partial(self._submit, attempt, timeout)
            return self._operate("form", phase, attempt, send)
        headers = {"Idempotency-Key": attempt.key} if attempt.key else {}
        send = partial(self._post, attempt, "/api/v1/accounts", headers, timeout)
        return self._operate("register", phase, attempt, send)

    def login(self, attempt: Attempt) -> Operation:
        """Find out whether the password of an attempt opens the account."""
        send = partial(self._post, attempt, "/api/v1/sessions")
        return self._operate("login", "verify", attempt, send)

    def availability(self, name: str, spelling: str, phase: str = "load") -> Operation:
        """Ask whether a name is free."""
        send = partial(self._send, "GET", f"/api/v1/usernames/{quote(spelling)}")
        return self._operate("availability", phase, Attempt("", name, spelling, ""), send)

    def delete(self, attempt: Attempt) -> Operation:
        """Delete the account of an attempt, whose last success brought a session."""
        body, cookie = {"password": attempt.password}, {"Cookie": self._cookies[attempt.id]}
        send = partial(self._send, "DELETE", "/api/v1/account", body, cookie)
        return self._operate("delete", "load", attempt, send)

    def _post(
        self,
        attempt: Attempt,
        path: str,
        headers: dict[str, str] | None = None,
        timeout: float = REQUEST_TIMEOUT,
    ) -> Answer:
        body = {"username": attempt.spelling, "password": attempt.password}
        return self._send("POST", path, body, headers, timeout)

    def _submit(self, attempt: Attempt, timeout: float) -> Answer:
        """Send the form as it was shown last; without an answer that is a reload."""
        body = {"username": attempt.spelling, "password": attempt.password}
        body["attempt"] = self._shown.get(attempt.id, attempt.key)
        page = {"Accept": "text/html"}
        answer = self._send("POST", "/register", body, page, timeout, FORM)
        if isinstance(answer.body, str) and (again := SHOWN.search(answer.body)):
            self._shown[attempt.id] = again[1]
        return answer

    def _operate(
        self, kind: str, phase: str, attempt: Attempt, send: Callable[[], Answer]
    ) -> Operation:
        number, invoked = self._history.invoke(kind, phase, attempt.name, attempt=attempt.id)
        answer = send()
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
            signed_in=self._keep_cookie(attempt, answer),
            error=answer.error,
        )
        self._history.complete(operation)
        return operation

    def _keep_cookie(self, attempt: Attempt, answer: Answer) -> bool:
        """Whether an answer brings a session."""
        cookie = answer.headers.get("Set-Cookie", "").partition(";")[0]
        if answer.status not in SUCCESSES or not cookie.partition("=")[2]:
            return False
        self._cookies[attempt.id] = cookie
        return True
