"""One line for each request on standard output, without the query string and the headers, which
may contain secrets."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import msgspec

from service.logs import ROOM, STDOUT, Output, loggable

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})  # requested every few seconds
MOST_KEPT = 10_000  # lines, while their reader is stuck
RETRY = 0.05  # seconds

encode = msgspec.json.Encoder().encode


class Line(msgspec.Struct, omit_defaults=True):
    """What the log says about a request."""

    event: str
    method: str
    path: str
    status: int
    bytes: int
    ms: float
    pid: int
    reason: str = ""


class RequestLog:
    """Writes once in each turn of the event loop, and never waits for the reader."""

    def __init__(self, descriptor: int = STDOUT) -> None:
        self._output = Output(descriptor)
        self._lines: list[bytes] = []
        self._dropped = 0
        self._pid = os.getpid()
        self._flushing: Any = None

    def note(
        self, method: str, path: str, status: int, size: int, seconds: float, reason: str = ""
    ) -> None:
        """Log an answered request.

        Args:
            size: bytes of the body that were sent.
            seconds: how long it took.
            reason: why it was rejected, if it did not reach the application.
        """
        if status == 200 and path in PROBES:
            return
        if len(self._lines) >= MOST_KEPT:
            self._dropped += 1
            return
        ms = round(seconds * 1000, 1)
        line = Line("request", method, loggable(path), status, size, ms, self._pid, reason)
        self._lines.append(encode(line) + b"\n")
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Write as many lines as the reader accepts now."""
        self._flushing = None
        while self._lines:
            count = self._fitting()
            try:
                if not self._output.write(b"".join(self._lines[:count])):
                    self._flushing = asyncio.get_running_loop().call_later(RETRY, self.flush)
                    return
            except OSError:  # the reader is gone
                self._dropped += count
            del self._lines[:count]
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            self._lines.append(encode({"event": "request_log_lost", "lines": dropped}) + b"\n")

    def _fitting(self) -> int:
        """How many lines to write at once: as many as fit, and at least one."""
        size = 0
        for count, line in enumerate(self._lines):
            size += len(line)
            if size > ROOM:
                return max(count, 1)
        return len(self._lines)
