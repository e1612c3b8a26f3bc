"""A load generator that sends requests at given times, each on a connection of its own.

It runs as a separate process (`python -m kits.scheduled`, with the schedule on standard input and
the responses on standard output). To be cheap and punctual it uses one epoll and plain sockets.
"""

from __future__ import annotations

import errno
import json
import re
import select
import socket
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.passwords import PASSWORD

UNLIMITED = 1_000_000
STARTED = (0, errno.EINPROGRESS)
NOT_YET = (errno.EAGAIN, errno.ENOTCONN)
READABLE, WRITABLE = select.EPOLLIN, select.EPOLLOUT
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Response(NamedTuple):
    """When the request was sent (seconds from the start), the status (0: no response), and the
    latency in ms."""

    sent: float
    status: int
    latency: float


@dataclass(frozen=True)
class Schedule:
    """Requests `(at, username)`, ordered by `at`, in seconds from the start.

    Attributes:
        url: of the service.
        path: of a registration, or of another request that takes a username and a password.
        limit: connections at a time; if every `at` is 0, this makes a closed loop.
        until: when to stop sending, in seconds from the start.
        barrier: whether all connect first and then send together.
        patience: seconds until a request counts as lost.
    """

    url: str
    requests: list[tuple[float, str]]
    limit: int = UNLIMITED
    until: float = UNLIMITED
    barrier: bool = False
    patience: float = 10.0
    path: str = "/api/v1/accounts"
    addresses: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Request:
    """One request in flight."""

    __slots__ = ("received", "sent", "socket", "wire")

    def __init__(self, path: str, username: str, address: str | None) -> None:
        body = json.dumps({"username": username, "password": PASSWORD}).encode()
        origin = f"X-Forwarded-For: {address}\r\n".encode() if address else b""
        self.wire = (
            b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n%s"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (path.encode(), origin, len(body), body)
        )
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.sent = 0.0
        self.received = b""

    def connect(self, address: tuple[str, int]) -> bool:
        return self.socket.connect_ex(address) in STARTED

    def send(self) -> bool:
        """Send the request; returns False if the connection is not there yet."""
        try:
            self.socket.send(self.wire)
        except OSError as error:
            if error.errno in NOT_YET:
                return False
            raise
        return True

    def is_complete(self) -> bool:
        """Read what has arrived; returns whether that is the whole response."""
        chunk = self.socket.recv(65536)
        self.received += chunk
        head, end, body = self.received.partition(b"\r\n\r\n")
        length = LENGTH.search(head) if end else None
        return not chunk or (length is not None and len(body) >= int(length[1]))

    @property
    def status(self) -> int:
        return int(self.received[9:12]) if self.received.startswith(b"HTTP/1.1 ") else 0


class Sender:
    """Carries out a schedule."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        parts = urlsplit(schedule.url)
        self.address = (parts.hostname or "", parts.port or 80)
        self.responses: list[Response] = []
        self.waiting = deque((at, n) for n, (at, _) in enumerate(schedule.requests))
        self.ready: dict[int, Request] = {}  # connected before the barrier
        self.in_flight: dict[int, Request] = {}  # by the number of its socket; the oldest first
        self.epoll = select.epoll()
        self.started = 0.0

    def run(self) -> list[Response]:
        if self.schedule.barrier:
            self.ready = {n: self._connected(n) for n in range(len(self.waiting))}
            time.sleep(0.5)  # until the workers have accepted them all
        self.started = time.monotonic()
        while self.waiting or self.in_flight:
            self._launch()
            for number, events in self.epoll.poll(self._pause()):
                self._advance(number, self.in_flight[number], events)
            self._give_up()
        return self.responses

    def _now(self) -> float:
        return time.monotonic() - self.started

    def _pause(self) -> float:
        if self.waiting and len(self.in_flight) < self.schedule.limit:
            return min(max(self.waiting[0][0] - self._now(), 0), 0.1)
        return 0.1

    def _launch(self) -> None:
        if self._now() > self.schedule.until:
            self.waiting.clear()
        while self.waiting and len(self.in_flight) < self.schedule.limit:
            at, n = self.waiting[0]
            if at > self._now():
                return
            self.waiting.popleft()
            request = self.ready.pop(n, None) or self._request(n)
            self._begin(request)

    def _begin(self, request: Request) -> None:
        number = request.socket.fileno()
        self.in_flight[number] = request
        request.sent = self._now()
        try:
            if not self.schedule.barrier and not request.connect(self.address):
                self._finish(number, request, 0)
                return
            # On one machine the connection is there at once, unless too many wait for it.
            self.epoll.register(number, READABLE if request.send() else WRITABLE)
        except OSError:
            self._finish(number, request, 0)

    def _advance(self, number: int, request: Request, events: int) -> None:
        try:
            if events & WRITABLE:
                if request.send():
                    self.epoll.modify(number, READABLE)
            elif request.is_complete():
                self._finish(number, request, request.status)
        except OSError:
            self._finish(number, request, 0)

    def _give_up(self) -> None:
        while self.in_flight:
            number, request = next(iter(self.in_flight.items()))
            if self._now() - request.sent < self.schedule.patience:
                return
            self._finish(number, request, 0)

    def _finish(self, number: int, request: Request, status: int) -> None:
        del self.in_flight[number]
        request.socket.close()  # epoll forgets it too
        self.responses.append(Response(request.sent, status, (self._now() - request.sent) * 1000))

    def _request(self, n: int) -> Request:
        addresses = self.schedule.addresses
        address = addresses[n % len(addresses)] if addresses else None
        return Request(self.schedule.path, self.schedule.requests[n][1], address)

    def _connected(self, n: int) -> Request:
        request = self._request(n)
        request.socket.setblocking(True)
        request.socket.connect(self.address)
        request.socket.setblocking(False)
        return request


if __name__ == "__main__":
    json.dump(Sender(Schedule(**json.load(sys.stdin))).run(), sys.stdout)
