"""A crowd: requests that are sent at given times, each on a connection of its own.

It runs in a process of its own (`python -m kits.scheduled`, plan on standard input, answers on
standard output) with one epoll and no library between it and the sockets, to be cheap and on time.
"""

from __future__ import annotations

import errno
import json
import selectors
import socket
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import NamedTuple

PASSWORD = "correct horse battery"
UNLIMITED = 1_000_000
STARTED = (0, errno.EINPROGRESS)


class Answer(NamedTuple):
    """When a request was sent (seconds from the start), what came (0: nothing) and after how
    many ms."""

    sent: float
    status: int
    latency: float


@dataclass(frozen=True)
class Plan:
    """Registrations `(at, username)`, `at` in seconds from the start, in that order; or whatever
    else takes a name and a password at `path`.

    `limit`: connections at a time; with every `at` 0 that is a closed loop. `until`: when to
    stop sending. `barrier`: all connect first, then all send. `patience`: seconds until a request
    counts as lost.
    """

    port: int
    requests: list[tuple[float, str]]
    limit: int = UNLIMITED
    until: float = UNLIMITED
    barrier: bool = False
    patience: float = 10.0
    path: str = "/api/v1/accounts"

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Request:
    """One registration under way."""

    def __init__(self, path: str, username: str) -> None:
        body = json.dumps({"username": username, "password": PASSWORD}).encode()
        self.wire = (
            b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (path.encode(), len(body), body)
        )
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.sent = 0.0
        self.received = b""

    def connect(self, port: int) -> bool:
        return self.socket.connect_ex(("127.0.0.1", port)) in STARTED

    def send(self, now: float) -> None:
        self.sent = self.sent or now
        self.socket.send(self.wire)

    def is_complete(self) -> bool:
        """Read what there is; whether that was the end."""
        chunk = self.socket.recv(65536)
        self.received += chunk
        return not chunk

    @property
    def status(self) -> int:
        return int(self.received[9:12]) if self.received.startswith(b"HTTP/1.1 ") else 0


class Crowd:
    """Carries a plan out."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.answers: list[Answer] = []
        self.waiting = deque((at, n) for n, (at, _) in enumerate(plan.requests))
        self.ready: dict[int, Request] = {}  # connected ahead, for the barrier
        self.flying: dict[Request, float] = {}  # with the time of their sending
        self.selector = selectors.EpollSelector()
        self.started = 0.0

    def run(self) -> list[Answer]:
        if self.plan.barrier:
            self.ready = {n: self._connected(n) for n in range(len(self.waiting))}
            time.sleep(0.5)  # the workers shall have accepted them all
        self.started = time.monotonic()
        while self.waiting or self.flying:
            self._launch()
            for key, _ in self.selector.select(self._pause()):
                self._advance(key.data, key.events)
            self._give_up()
        return self.answers

    def _now(self) -> float:
        return time.monotonic() - self.started

    def _pause(self) -> float:
        if self.waiting and len(self.flying) < self.plan.limit:
            return min(max(self.waiting[0][0] - self._now(), 0), 0.1)
        return 0.1

    def _launch(self) -> None:
        if self._now() > self.plan.until:
            self.waiting.clear()
        while self.waiting and len(self.flying) < self.plan.limit:
            at, n = self.waiting[0]
            if at > self._now():
                return
            self.waiting.popleft()
            request = self.ready.pop(n, None) or self._request(n)
            request.sent = self.flying[request] = self._now()
            if self.plan.barrier:
                request.send(self._now())
                self.selector.register(request.socket, selectors.EVENT_READ, request)
            elif request.connect(self.plan.port):
                self.selector.register(request.socket, selectors.EVENT_WRITE, request)
            else:
                self._finish(request, 0)

    def _advance(self, request: Request, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                request.send(self._now())
                self.selector.modify(request.socket, selectors.EVENT_READ, request)
            elif request.is_complete():
                self._finish(request, request.status)
        except OSError:
            self._finish(request, 0)

    def _give_up(self) -> None:
        while self.flying:
            request, sent = next(iter(self.flying.items()))  # the oldest
            if self._now() - sent < self.plan.patience:
                return
            self._finish(request, 0)

    def _finish(self, request: Request, status: int) -> None:
        del self.flying[request]
        if request.socket in self.selector.get_map():
            self.selector.unregister(request.socket)
        request.socket.close()
        self.answers.append(Answer(request.sent, status, (self._now() - request.sent) * 1000))

    def _request(self, n: int) -> Request:
        return Request(self.plan.path, self.plan.requests[n][1])

    def _connected(self, n: int) -> Request:
        request = self._request(n)
        request.socket.setblocking(True)
        request.socket.connect(("127.0.0.1", self.plan.port))
        request.socket.setblocking(False)
        return request


if __name__ == "__main__":
    json.dump(Crowd(Plan(**json.load(sys.stdin))).run(), sys.stdout)
