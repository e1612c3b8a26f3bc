"""One line for each request on standard output, without query string or headers: those may carry
secrets."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import msgspec

from service.logs import ROOM, STDOUT, Output

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})  # asked every few seconds
MOST_KEPT = 10_000  # lines, while nobody reads them
RETRY = 0.05  # seconds
LONGEST_PATH = 512  # characters: a line of such, six bytes each in JSON, still fits into ROOM

encode = msgspec.json.Encoder().encode


class Line(msgspec.Struct, omit_defaults=True):
    """What is logged of a request."""

    event: str
    method: str
    path: str
    status: int
    bytes: int
    ms: float
    pid: int
    reason: str = ""


class RequestLog:
    """Writes lines once for each turn of the event loop, and never waits for their reader."""

    def __init__(self, descriptor: int = STDOUT) -> None:
        self._output = Output(descriptor)
        self._lines: list[bytes] = []
        self._dropped = 0
        self._pid = os.getpid()
        self._flushing: Any = None

    def note(
        self, method: str, path: str, status: int, size: int, seconds: float, reason: str = ""
    ) -> None:
        """Log a request that was answered.

        Args:
            size: bytes of the body that were sent.
            seconds: how long it took.
            reason: why it was rejected, where it never reached the application.
        """
        if status == 200 and path in PROBES:
            return
        if len(self._lines) >= MOST_KEPT:
            self._dropped += 1
            return
        ms = round(seconds * 1000, 1)
        # What is no path may hold a login, and what follows a # may be a token.
        path = path.partition("#")[0][:LONGEST_PATH] if path.startswith("/") else "*"
        line = Line("request", method, path, status, size, ms, self._pid, reason)
        # JSON keeps a line break in a path from looking like a line of its own.
        self._lines.append(encode(line) + b"\n")
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Write what was noted, as far as it can be written now."""
        self._flushing = None
        while self._lines:
            count = self._fitting()
            try:
                if not self._output.write(b"".join(self._lines[:count])):
                    self._flushing = asyncio.get_running_loop().call_later(RETRY, self.flush)
                    return
            except OSError:  # nobody will ever read it
                self._dropped += count
            del self._lines[:count]
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            self._lines.append(encode({"event": "request_log_lost", "lines": dropped}) + b"\n")

    def _fitting(self) -> int:
        """How many lines go out at once: at least one, and no more than fit."""
        size = 0
        for count, line in enumerate(self._lines):
            size += len(line)
            if size > ROOM:
                return max(count, 1)
        return len(self._lines)
