"""A client with several devices, which records what it does with their sessions."""

from __future__ import annotations

import hashlib
import time
from http.cookies import SimpleCookie
from typing import Any

from kits.races.history import History
from kits.races.http_client import HttpClient, Response
from kits.races.sessions.history import SessionOperation

API = "/api/v1"
CURRENT = f"{API}/sessions/current"
COOKIES = ("session", "__Host-session")


class SessionClient(HttpClient):
    """Refers to sessions by their handles, and keeps the ids to itself."""

    def __init__(self, url: str, history: History) -> None:
        super().__init__(url, history)
        self._cookies: dict[str, str] = {}  # name and id, by handle

    @property
    def handles(self) -> list[str]:
        """The handles of all ids that the service has issued."""
        return list(self._cookies)

    def locator(self, handle: str) -> str:
        """The part of an id that all sessions of its account share."""
        return self._cookies[handle].partition("=")[2][:12]

    def register(self, name: str, password: str) -> SessionOperation:
        """Create an account and its first session."""
        body = {"username": name, "password": password}
        key = {"Idempotency-Key": f"{name}-{password}"}
        return self._do("register", name, "POST", f"{API}/accounts", body, key, password=password)

    def login(self, name: str, password: str, session: str | None = None) -> SessionOperation:
        """Sign in; `session` is the previous one of the device."""
        body = {"username": name, "password": password}
        path = f"{API}/sessions"
        return self._do("login", name, "POST", path, body, session=session, password=password)

    def read(self, name: str, session: str, phase: str = "load") -> SessionOperation:
        """Ask who is signed in."""
        return self._do("read", name, "GET", CURRENT, session=session, phase=phase)

    def devices(self, name: str, session: str, phase: str = "load") -> SessionOperation:
        """List the account's sessions."""
        return self._do("list", name, "GET", f"{API}/sessions", session=session, phase=phase)

    def data(self, name: str, session: str, phase: str = "load") -> SessionOperation:
        """Read the session's data."""
        return self._do("data", name, "GET", f"{CURRENT}/data", session=session, phase=phase)

    def write(self, name: str, session: str | None, key: str) -> SessionOperation:
        """Write a key; its value is its name."""
        path = f"{CURRENT}/data"
        return self._do("write", name, "PATCH", path, {key: key}, session=session, key=key)

    def logout(self, name: str, session: str) -> SessionOperation:
        """Sign out."""
        return self._do("logout", name, "DELETE", CURRENT, session=session)

    def revoke(self, name: str, session: str, target: str) -> SessionOperation:
        """Revoke one session."""
        path = f"{API}/sessions/{target}"
        return self._do("revoke", name, "DELETE", path, session=session, target=target)

    def revoke_several(self, name: str, session: str, scope: str) -> SessionOperation:
        """Revoke `others` or `all`."""
        path = f"{API}/sessions?scope={scope}"
        return self._do(scope, name, "DELETE", path, session=session)

    def change(self, name: str, session: str, old: str, new: str) -> SessionOperation:
        """Change the password."""
        body = {"current_password": old, "new_password": new}
        sent = {"session": session, "password": old, "new_password": new}
        return self._do("change", name, "PUT", f"{API}/account/password", body, **sent)

    def close(self, name: str, session: str, password: str) -> SessionOperation:
        """Delete the account."""
        body = {"password": password}
        sent = {"session": session, "password": password}
        return self._do("close", name, "DELETE", f"{API}/account", body, **sent)

    def _do(
        self,
        kind: str,
        name: str,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        phase: str = "load",
        **sent: str | None,
    ) -> SessionOperation:
        headers = dict(headers or {})
        if session := sent.get("session"):
            headers["Cookie"] = self._cookies[session]
        number, invoked = self._history.invoke(kind, phase, name, **sent)
        response = self._send(method, path, body, headers)
        operation = SessionOperation(
            number=number,
            kind=kind,
            phase=phase,
            name=name,
            invoked=invoked,
            completed=time.monotonic(),
            status=response.status,
            error=response.error,
            **sent,
            **self._keep_cookie(response),
            **_content(kind, response),
        )
        self._history.complete(operation)
        return operation

    def _keep_cookie(self, response: Response) -> dict[str, Any]:
        """Keep the cookie of a response; returns what the response does to it."""
        for line in response.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(line).items():
                if name not in COOKIES:
                    continue
                if not morsel.value:
                    return {"cleared": True}
                handle = hashlib.sha256(morsel.value.encode()).hexdigest()
                self._cookies[handle] = f"{name}={morsel.value}"
                return {"issued": handle}
        return {}


def _content(kind: str, response: Response) -> dict[str, Any]:
    """What a response contains besides the cookie."""
    content: dict[str, Any] = {"retry_after": "Retry-After" in response.headers}
    if response.status not in (200, 201):
        return content
    body = response.members
    if kind in ("data", "write"):
        return {**content, "data": body}
    if kind == "list":
        return {**content, "handles": tuple(each["handle"] for each in body["sessions"])}
    if account := body.get("account"):
        content["owner"] = account["username"]
    if session := body.get("session"):
        content["handle"] = session["handle"]
    return content
