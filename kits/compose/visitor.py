"""A visitor with an account, who uses the published port. It sends the cookie by hand, because the
cookie is Secure and the port has no TLS."""

from __future__ import annotations

import http.client
import json
import secrets
import time
from http.cookies import SimpleCookie
from typing import Any

from kits.compose.stack import Failure

COOKIE = "__Host-session"
RECOVERY_LIMIT = 60.0  # seconds
# Statuses that a service may return while it restarts; any other is a failure at once.
NOT_NOW = (429, 503)


class Visitor:
    """An account and one of its sessions."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._credentials = {
            "username": f"guest-{secrets.token_hex(4)}",
            "password": secrets.token_urlsafe(16),
        }
        self._cookie = ""

    def register(self) -> str:
        """Create the account; returns the Set-Cookie header of the session."""
        headers, _ = self._request("POST", "/api/v1/accounts", 201, self._credentials)
        cookie = _of_session(headers)
        self._cookie = SimpleCookie(cookie)[COOKIE].value
        return cookie

    def log_in(self) -> None:
        """Sign in once more, and use the new session."""
        headers, _ = self._request("POST", "/api/v1/sessions", 201, self._credentials)
        self._is_me(SimpleCookie(_of_session(headers))[COOKIE].value)

    def expect_signed_in(self) -> None:
        """Check that the session of the registration still exists."""
        self._is_me(self._cookie)

    def expect_everything(self) -> None:
        """Check that the service is ready, and that the session and the account still exist: the
        password opens the account, and its name is taken."""
        self._request("GET", "/readyz", 200)
        self.expect_signed_in()
        self.log_in()
        self._request("POST", "/api/v1/accounts", 409, self._credentials)

    def _is_me(self, cookie: str) -> None:
        _, current = self._request("GET", "/api/v1/sessions/current", 200, cookie=cookie)
        if current["account"]["username"] != self._credentials["username"]:
            raise Failure(f"signed in as another account: {current['account']}")

    def _request(
        self, method: str, path: str, expected: int, body: object = None, cookie: str = ""
    ) -> tuple[http.client.HTTPMessage, dict[str, Any]]:
        """Send until the service is available; raises Failure if the status is not `expected`."""
        deadline = time.monotonic() + RECOVERY_LIMIT
        while True:
            try:
                status, headers, content = self._send(method, path, body, cookie)
                seen = f"{status} {content[:300]!r}"
            except (OSError, http.client.HTTPException) as problem:
                status, seen = 0, repr(problem)
            if status == expected:
                return headers, json.loads(content)
            if status and status not in NOT_NOW:
                raise Failure(f"{method} {path} answered {seen}, not {expected}")
            if time.monotonic() > deadline:
                raise Failure(f"{method} {path} after {RECOVERY_LIMIT:.0f} s: still {seen}")
            time.sleep(0.2)

    def _send(
        self, method: str, path: str, body: object, cookie: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        headers = {"Content-Type": "application/json"} if body else {}
        if cookie:
            headers["Cookie"] = f"{COOKIE}={cookie}"
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()


def _of_session(headers: http.client.HTTPMessage) -> str:
    lines = headers.get_all("Set-Cookie", [])
    return next((line for line in lines if line.startswith(f"{COOKIE}=")), "")
