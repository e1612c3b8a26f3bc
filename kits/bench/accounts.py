"""Who visits: accounts that are signed in, each through the contender's own endpoint."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import httpx

from kits.bench.testbed import Contender, Stage
from kits.generators import LoadError
from kits.scheduled import PASSWORD

PEOPLE = 100
NAMES = [f"visitor{n}" for n in range(PEOPLE)]


def lines(stage: Stage, texts: Iterable[str]) -> Path:
    """A file of them, for wrk."""
    path = stage.subdirectory() / "lines"
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def sign_in(contender: Contender, cookies: Iterable[str] = ("",) * PEOPLE) -> list[str]:
    """Put an account into as many sessions; their cookies, as the header has them.

    Args:
        cookies: of sessions that exist already; empty: a new one.
    """
    found = []
    with httpx.Client(base_url=contender.url, timeout=10) as client:
        for n, cookie in enumerate(cookies):
            account = {"id": n, "username": NAMES[n], "created_at": "2026-01-01T00:00:00.000Z"}
            headers = {"Cookie": cookie} if cookie else {}
            answer = client.post("/sign-in", json=account, headers=headers)
            client.cookies.clear()
            found.append(cookie or _cookie(answer))
    return found


def sign_up(contender: Contender) -> list[str]:
    """Have everybody registered at the service and signed in; the cookies of their sessions."""
    found = []
    with httpx.Client(base_url=contender.url, timeout=10) as client:
        for name in NAMES:
            body = {"username": name, "password": PASSWORD}
            answer = client.post("/api/v1/accounts", json=body)
            if answer.status_code == 409:  # of an earlier row
                answer = client.post("/api/v1/sessions", json=body)
            client.cookies.clear()
            found.append(_cookie(answer))
    return found


def _cookie(answer: httpx.Response) -> str:
    if "Set-Cookie" not in answer.headers:
        raise LoadError(f"{answer.request.url.path} answered {answer.status_code} without a cookie")
    return answer.headers["Set-Cookie"].partition(";")[0]
