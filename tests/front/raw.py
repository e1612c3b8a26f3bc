"""HTTP by hand: bytes into a socket, responses out of it, and what the server logged of it."""

from __future__ import annotations

import itertools
import json
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.conditions import eventually

PATIENCE = 10.0  # seconds
HOST = b"Host: x\r\n"
ALIVE = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"


class Response(NamedTuple):
    """One response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header that is there once at most."""
        values = [value for each, value in self.headers if each == name.lower()]
        assert len(values) <= 1, self.headers
        return values[0] if values else None


class Raw:
    """A connection on which a test sends any bytes."""

    def __init__(self, url: str, receive_buffer: int | None = None) -> None:
        address = urlsplit(url)
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect((address.hostname, address.port))
        self._received = b""

    def __enter__(self) -> Raw:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> Raw:
        self.socket.sendall(data)
        return self

    def response(self, to: str = "GET") -> Response:
        """The next response; `to` is the method of its request.

        Raises:
            EOFError: the server closed the connection before its end.
        """
        head = self.until(b"\r\n\r\n").decode("latin-1")
        status_line, *lines = head.split("\r\n")
        version, status = status_line.split(" ")[:2]
        assert version in ("HTTP/1.1", "HTTP/1.0"), status_line
        pairs = [line.partition(": ") for line in lines]
        headers = [(name.lower(), value) for name, _, value in pairs]
        return Response(int(status), headers, self._body(int(status), dict(headers), to))

    def is_closed(self) -> bool:
        """Whether the server closes the connection, and sends nothing more before that."""
        try:
            return self._received == b"" and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _body(self, status: int, headers: dict[str, str], to: str) -> bytes:
        if to == "HEAD" or status in (100, 204, 304):
            return b""
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.until(b"\r\n"), 16):
                body += self.exactly(size)
                assert self.exactly(2) == b"\r\n"
            assert self.exactly(2) == b"\r\n"
            return body
        return self.exactly(int(headers["content-length"]))

    def until(self, end: bytes) -> bytes:
        """What comes before `end`, which is taken too."""
        while end not in self._received:
            self._receive()
        found, _, self._received = self._received.partition(end)
        return found

    def exactly(self, size: int) -> bytes:
        """The next `size` bytes."""
        while len(self._received) < size:
            self._receive()
        found, self._received = self._received[:size], self._received[size:]
        return found

    def _receive(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(self._received)
        self._received += data


class Journal:
    """What the server logs from here on."""

    _markers = itertools.count()

    def __init__(self, url: str, log: Path, status: int = 404) -> None:
        """`status` is that of a path that is not there."""
        self._url, self._log, self._status = url, log, status
        self._from = 0
        self._mark()
        self._from = log.stat().st_size

    def text(self) -> str:
        """All of it, up to what has happened by now."""
        return "".join(line for line in self._mark().splitlines(True) if "/marker-" not in line)

    def requests(self) -> list[dict[str, Any]]:
        """The lines of requests. There must be no others."""
        lines = [json.loads(line) for line in self.text().splitlines()]
        assert all(line["event"] == "request" for line in lines), lines
        return lines

    def _mark(self) -> str:
        """Have the server log something, and return what it has logged up to that."""
        marks = [f"/marker-{next(self._markers)}" for _ in range(2)]
        for mark in marks:
            with Raw(self._url) as raw:
                raw.send(f"GET {mark} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                assert raw.response().status == self._status
        return eventually(lambda: self._since(marks[-1]))

    def _since(self, mark: str) -> str | None:
        with self._log.open("rb") as log:
            log.seek(self._from)
            text = log.read().decode()
        return text if mark in text else None


def request(path: bytes) -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n"


def alive(url: str) -> bool:
    with Raw(url) as raw:
        return raw.send(ALIVE).response().status == 200
