"""Clients that sign in, write, read and sign out without pause while Redis fails.

They note every response, and what each one acknowledged, so that an outage can be judged: every
response comes in time, only success and 503 occur, no cookie is deleted, and nothing is lost.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import httpx

from tests.passwords import PASSWORD
from tests.servers import NO_TLS

WRITES = 10
SLOWEST = 1.5  # seconds for one response
STATUSES = (200, 201, 204, 401, 503)
PAUSE = 0.02  # seconds after a 503
NEAR = 1.0  # seconds: a loss this close to the outage can be its consequence


@dataclass
class Session:
    """One sign-in, and what the service acknowledged for it."""

    cookie: str
    signed_in: float
    written: dict[str, float] = field(default_factory=dict)
    ending: bool = False
    refused: bool = False  # a 401 before the client ended it
    signed_out: float | None = None


class Response(NamedTuple):
    """When it came, after how many seconds, to which request, and its status."""

    at: float
    seconds: float
    request: str
    status: int


class SessionClient(threading.Thread):
    """One account whose client never pauses."""

    def __init__(self, url: str, number: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.responses: list[Response] = []
        self.violations: list[str] = []
        self.sessions: list[Session] = []
        self._http = httpx.Client(base_url=f"{url}/api/v1", timeout=10, verify=NO_TLS)
        name = f"client{number}-{time.time_ns()}"  # not that of an earlier run
        self._credentials = {"username": name, "password": PASSWORD}
        self._stopping = stop
        assert self._http.post("/accounts", json=self._credentials).status_code == 201
        self._http.cookies.clear()

    def run(self) -> None:
        """Sign in, use the session, and sign out every second time."""
        for number in itertools.count():
            if self._stopping.is_set():
                return
            if session := self._sign_in():
                self._use(session)
                if number % 2:
                    self._sign_out(session)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def losses(self, outage: float) -> Iterator[str]:
        """What the service acknowledged and no longer knows."""
        for session in self.sessions:
            alive = self._send("GET", "/sessions/current", session).status_code == 200
            if session.refused and alive:
                yield "sign-in for a while, at another time"
            if session.signed_out and alive:
                yield _loss("sign-out", session.signed_out, outage)
            elif not session.ending and not alive:
                yield _loss("sign-in", session.signed_in, outage)
            elif alive:
                data = self._send("GET", "/sessions/current/data", session).json()
                for key in session.written.keys() - data.keys():
                    yield _loss("write", session.written[key], outage)

    def _sign_in(self) -> Session | None:
        response = self._send("POST", "/sessions", json=self._credentials)
        if response.status_code != 201:
            return None
        cookie = response.headers["set-cookie"].partition(";")[0].removeprefix("session=")
        session = Session(cookie, time.monotonic())
        self.sessions.append(session)
        return session

    def _use(self, session: Session) -> None:
        for number in range(WRITES):
            key = f"key{number}"
            write = self._send("PATCH", "/sessions/current/data", session, json={key: number})
            if write.status_code == 200:
                session.written[key] = time.monotonic()
            read = self._send("GET", "/sessions/current", session)
            session.refused |= 401 in (write.status_code, read.status_code)

    def _sign_out(self, session: Session) -> None:
        session.ending = True
        if self._send("DELETE", "/sessions/current", session).status_code == 204:
            session.signed_out = time.monotonic()
            self._send("GET", "/sessions/current", session)

    def _send(
        self, method: str, path: str, session: Session | None = None, **content: object
    ) -> httpx.Response:
        """Send one request, and note what is wrong with its response."""
        headers = {"Cookie": f"session={session.cookie}"} if session else {}
        started = time.monotonic()
        response = self._http.request(method, path, headers=headers, **content)  # type: ignore[arg-type]
        self._http.cookies.clear()
        now = time.monotonic()
        request = f"{method} {path}"
        self.responses.append(Response(now, now - started, request, response.status_code))
        self.violations += _violations(request, response)
        if response.status_code == 503:
            self._stopping.wait(PAUSE)
        return response


@dataclass(frozen=True)
class Outcome:
    """What an outage cost."""

    counts: Counter[tuple[str, int]]  # responses by request and status
    slowest: float  # seconds
    acknowledged: Counter[str]
    lost: Counter[str]
    violations: Sequence[str]


class SessionClients:
    """Several clients that run at the same time."""

    def __init__(self, url: str, count: int) -> None:
        self._stop = threading.Event()
        self._clients = [SessionClient(url, number, self._stop) for number in range(count)]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run all of them in the background."""
        for client in self._clients:
            client.start()
        try:
            yield
        finally:
            self._stop.set()
            for client in self._clients:
                client.join(10)

    @property
    def responses(self) -> list[Response]:
        """Every response to any of them so far."""
        return [response for client in self._clients for response in client.responses]

    def last(self, status: int) -> float:
        """When the last response with this status came; 0 if none did."""
        return max((each.at for each in self.responses if each.status == status), default=0.0)

    def each_got(self, status: int, times: int, since: float = 0.0) -> bool:
        """Whether every client got so many responses with this status since then."""
        return all(
            sum(each.status == status and each.at >= since for each in client.responses) >= times
            for client in self._clients
        )

    def judge(self, outage: float, may_lose: Sequence[str] = ()) -> Outcome:
        """Look for what the service acknowledged and lost, and close the clients.

        Args:
            outage: when Redis went away.
            may_lose: what may get lost within a second of that.
        """
        responses = self.responses
        lost = Counter(loss for client in self._clients for loss in client.losses(outage))
        violations = [each for client in self._clients for each in client.violations]
        for client in self._clients:
            client.close()
        slowest = max(response.seconds for response in responses)
        if slowest > SLOWEST:
            violations.append(f"a response took {slowest:.2f} s")
        for loss, times in lost.items():
            if loss.partition(" ")[0] not in may_lose or "another" in loss:
                violations.append(f"lost {times} times: {loss}")
        counts = Counter((response.request, response.status) for response in responses)
        return Outcome(counts, slowest, self._acknowledged(), lost, violations)

    def _acknowledged(self) -> Counter[str]:
        total = Counter[str]()
        for session in (session for client in self._clients for session in client.sessions):
            total["sign-in"] += 1
            total["sign-out"] += session.signed_out is not None
            total["write"] += len(session.written)
        return total


def _violations(request: str, response: httpx.Response) -> Iterator[str]:
    status, cookie = response.status_code, response.headers.get("set-cookie", "")
    if status not in STATUSES:
        yield f"{request}: {status} {response.text[:200]}"
    if cookie and status == 503:
        yield f"{request}: 503 with a cookie"
    if cookie.startswith("session=;") and status != 204:
        yield f"{request}: {status} deletes the cookie"


def _loss(what: str, at: float, outage: float) -> str:
    near = abs(at - outage) < NEAR
    return f"{what} {'within a second of the outage' if near else 'at another time'}"
