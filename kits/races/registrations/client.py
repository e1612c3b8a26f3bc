"""A client that registers names, and records what it does."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

from kits.races.history import SUCCESSES, History, RegistrationOperation
from kits.races.http_client import FORM, REQUEST_TIMEOUT, HttpClient, Response

HIDDEN_FIELD = re.compile(r'name="idempotency_key" value="([^"]+)"')


@dataclass(frozen=True)
class Attempt:
    """A client that wants a name, in one spelling and with one password."""

    id: str
    name: str  # canonical
    spelling: str
    password: str
    key: str | None = None  # the Idempotency-Key of every repetition, or the form's hidden field
    form: bool = False  # through the page instead of the API


class RegistrationClient(HttpClient):
    """Registers, asks whether names are free, logs in, and deletes accounts."""

    def __init__(self, url: str, history: History) -> None:
        super().__init__(url, history)
        self._cookies: dict[str, str] = {}  # of the last session, by attempt
        self._hidden: dict[str, str] = {}  # the hidden field of the last form, by attempt

    def register(
        self, attempt: Attempt, phase: str = "load", timeout: float = REQUEST_TIMEOUT
    ) -> RegistrationOperation:
        """Register the name of an attempt. Gives up after `timeout` seconds."""
        if attempt.form:
            send = partial(self._submit, attempt, timeout)
            return self._operate("form", phase, attempt, send)
        headers = {"Idempotency-Key": attempt.key} if attempt.key else {}
        send = partial(self._post, attempt, "/api/v1/accounts", headers, timeout)
        return self._operate("register", phase, attempt, send)

    def login(self, attempt: Attempt) -> RegistrationOperation:
        """Check whether the password of an attempt opens the account."""
        send = partial(self._post, attempt, "/api/v1/sessions")
        return self._operate("login", "verify", attempt, send)

    def availability(self, name: str, spelling: str, phase: str = "load") -> RegistrationOperation:
        """Ask whether a name is free."""
        send = partial(self._send, "GET", f"/api/v1/usernames/{quote(spelling)}")
        return self._operate("availability", phase, Attempt("", name, spelling, ""), send)

    def delete(self, attempt: Attempt) -> RegistrationOperation:
        """Delete the account of an attempt, with the session from its last success."""
        body, cookie = {"password": attempt.password}, {"Cookie": self._cookies[attempt.id]}
        send = partial(self._send, "DELETE", "/api/v1/account", body, cookie)
        return self._operate("delete", "load", attempt, send)

    def _post(
        self,
        attempt: Attempt,
        path: str,
        headers: dict[str, str] | None = None,
        timeout: float = REQUEST_TIMEOUT,
    ) -> Response:
        body = {"username": attempt.spelling, "password": attempt.password}
        return self._send("POST", path, body, headers, timeout)

    def _submit(self, attempt: Attempt, timeout: float) -> Response:
        """Submit the form as the last response contained it, or the same one again."""
        body = {"username": attempt.spelling, "password": attempt.password}
        body["idempotency_key"] = self._hidden.get(attempt.id, attempt.key)
        page = {"Accept": "text/html"}
        response = self._send("POST", "/register", body, page, timeout, FORM)
        if isinstance(response.body, str) and (again := HIDDEN_FIELD.search(response.body)):
            self._hidden[attempt.id] = again[1]
        return response

    def _operate(
        self, kind: str, phase: str, attempt: Attempt, send: Callable[[], Response]
    ) -> RegistrationOperation:
        number, invoked = self._history.invoke(kind, phase, attempt.name, attempt=attempt.id)
        response = send()
        operation = RegistrationOperation(
            number=number,
            kind=kind,
            phase=phase,
            name=attempt.name,
            spelling=attempt.spelling,
            attempt=attempt.id,
            keyed=attempt.key is not None,
            invoked=invoked,
            completed=time.monotonic(),
            status=response.status,
            account=(response.members.get("account") or {}).get("id"),
            reason=response.members.get("reason"),
            signed_in=self._keep_cookie(attempt, response),
            error=response.error,
        )
        self._history.complete(operation)
        return operation

    def _keep_cookie(self, attempt: Attempt, response: Response) -> bool:
        """Keep the cookie of a response; returns whether it contains a session."""
        cookie = response.headers.get("Set-Cookie", "").partition(";")[0]
        if response.status not in SUCCESSES or not cookie.partition("=")[2]:
            return False
        self._cookies[attempt.id] = cookie
        return True
