"""Accounts that are signed in, each through the contender's own endpoint."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import httpx

from kits.bench.contender import Contender, Engines
from kits.generators import LoadError
from tests.passwords import PASSWORD

ACCOUNTS = 100
NAMES = [f"visitor{n}" for n in range(ACCOUNTS)]


def write_lines(engines: Engines, texts: Iterable[str]) -> Path:
    """Write a file with one text per line, for wrk."""
    path = engines.subdirectory() / "lines"
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def sign_in(contender: Contender, cookies: Iterable[str] = ("",) * ACCOUNTS) -> list[str]:
    """Put an account into each session.

    Args:
        contender: with a view for it.
        cookies: of existing sessions; an empty one starts a session.

    Returns:
        The Cookie headers of the sessions.
    """
    found = []
    with httpx.Client(base_url=contender.url, timeout=10) as client:
        for n, cookie in enumerate(cookies):
            account = {"id": n, "username": NAMES[n], "created_at": "2026-01-01T00:00:00.000Z"}
            headers = {"Cookie": cookie} if cookie else {}
            response = client.post("/sign-in", json=account, headers=headers)
            client.cookies.clear()
            found.append(cookie or _cookie(response))
    return found


def register(contender: Contender) -> list[str]:
    """Register every account at the service, or sign it in if an earlier row has registered it;
    returns the Cookie headers of the sessions."""
    found = []
    with httpx.Client(base_url=contender.url, timeout=10) as client:
        for name in NAMES:
            body = {"username": name, "password": PASSWORD}
            response = client.post("/api/v1/accounts", json=body)
            if response.status_code == 409:
                response = client.post("/api/v1/sessions", json=body)
            client.cookies.clear()
            found.append(_cookie(response))
    return found


def _cookie(response: httpx.Response) -> str:
    if "Set-Cookie" not in response.headers:
        path = response.request.url.path
        raise LoadError(f"{path} answered {response.status_code} without a cookie")
    return response.headers["Set-Cookie"].partition(";")[0]
