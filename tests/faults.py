"""What can go wrong with a process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol


class HasPid(Protocol):
    """An engine, a node, or a process of psutil or subprocess."""

    @property
    def pid(self) -> int: ...


@contextmanager
def frozen(*processes: HasPid) -> Iterator[None]:
    """Let processes hang until the end of the block: they accept connections and never answer."""
    for process in processes:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            with suppress(ProcessLookupError):  # killed meanwhile
                os.kill(process.pid, signal.SIGCONT)
