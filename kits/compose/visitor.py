"""Somebody with an account, who comes through the published port and carries the cookie by hand:
it is Secure, and here is no TLS."""

import http.client
import json
import secrets
import time
from http.cookies import SimpleCookie
from typing import Any

from kits.compose.stack import Failure

COOKIE = "__Host-session"
RECOVERY_LIMIT = 60.0  # seconds
# What a part that is just restarting may answer; anything else at once is a failure.
NOT_NOW = (429, 503)


class Visitor:
    """An account and one session of it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._credentials = {
            "username": f"guest-{secrets.token_hex(4)}",
            "password": secrets.token_urlsafe(16),
        }
        self._cookie = ""

    def register(self) -> str:
        """Make the account; returns the Set-Cookie header."""
        headers, _ = self._ask("POST", "/api/v1/accounts", 201, self._credentials)
        cookie = headers["Set-Cookie"] or ""
        self._cookie = SimpleCookie(cookie)[COOKIE].value
        return cookie

    def log_in(self) -> str:
        """Sign in once more, and prove that the new session works; returns its id."""
        headers, _ = self._ask("POST", "/api/v1/sessions", 201, self._credentials)
        cookie = SimpleCookie(headers["Set-Cookie"])[COOKIE].value
        self._is_me(cookie)
        return cookie

    def still_signed_in(self) -> None:
        """The session that registering began is still there."""
        self._is_me(self._cookie)

    def still_registered(self) -> None:
        """The account is still there: its password works, and its name is taken."""
        self.log_in()
        self._ask("POST", "/api/v1/accounts", 409, self._credentials)

    def ready(self) -> dict[str, Any]:
        """What /readyz says, once it says yes."""
        return self._ask("GET", "/readyz", 200)[1]

    def _is_me(self, cookie: str) -> None:
        _, answer = self._ask("GET", "/api/v1/sessions/current", 200, cookie=cookie)
        if answer["account"]["username"] != self._credentials["username"]:
            raise Failure(f"signed in as somebody else: {answer['account']}")

    def _ask(
        self, method: str, path: str, expected: int, body: object = None, cookie: str = ""
    ) -> tuple[http.client.HTTPMessage, dict[str, Any]]:
        """Ask until the answer is more than "not now"; raise Failure if it is not `expected`."""
        deadline = time.monotonic() + RECOVERY_LIMIT
        while True:
            try:
                status, headers, answer = self._ask_once(method, path, body, cookie)
                seen = f"{status} {answer[:300]!r}"
            except (OSError, http.client.HTTPException) as problem:
                status, seen = 0, repr(problem)
            if status == expected:
                return headers, json.loads(answer)
            if status and status not in NOT_NOW:
                raise Failure(f"{method} {path} answered {seen}, not {expected}")
            if time.monotonic() > deadline:
                raise Failure(f"{method} {path} after {RECOVERY_LIMIT:.0f} s: still {seen}")
            time.sleep(0.2)

    def _ask_once(
        self, method: str, path: str, body: object, cookie: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        headers = {"Content-Type": "application/json"} if body else {}
        if cookie:
            headers["Cookie"] = f"{COOKIE}={cookie}"
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()
