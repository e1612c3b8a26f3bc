"""A pipe whose reader can stall."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from typing import Any

F_SETPIPE_SZ = 1031


class Pipe:
    """What gunicorn's standard output is in production, with one page of room by default."""

    def __init__(self, room: int = 4096) -> None:
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, F_SETPIPE_SZ, room)
        os.set_blocking(self.reader, False)
        self._received = b""
        self._has_left = False

    def received(self) -> list[dict[str, Any]]:
        """All lines so far."""
        with suppress(BlockingIOError):
            while data := os.read(self.reader, 65536):
                self._received += data
        assert self._received.endswith(b"\n") or not self._received
        return [json.loads(line) for line in self._received.splitlines()]

    def fill(self) -> int:
        """Leave no room, and return how many lines that took."""
        os.set_blocking(self.writer, False)
        count = 0
        with suppress(BlockingIOError):
            while True:
                os.write(self.writer, b'{"event":"filler"}\n')
                count += 1
        os.set_blocking(self.writer, True)
        return count

    def leave(self) -> None:
        """Read no more, ever."""
        if not self._has_left:
            os.close(self.reader)
        self._has_left = True

    def close(self) -> None:
        self.leave()
        os.close(self.writer)
