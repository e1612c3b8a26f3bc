"""Clients that meet at a barrier, and rounds of them in the background."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from random import Random

BARRIER_TIMEOUT = 30.0
HERD = 12  # that meets a fault

Task = Callable[[], object]


class Crowd:
    """What every load is made of. Every choice is drawn from the seed; which of several threads
    draws first is not."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._starters = ThreadPoolExecutor(2, thread_name_prefix="herd")
        self._lock = threading.Lock()

    def close(self) -> None:
        """End every client; none takes longer than its time-outs."""
        self._starters.shutdown()

    def round(self, size: int = 36) -> None:
        """A mixture of everything, at the same time; returns when all of it has its answers."""
        raise NotImplementedError

    def bustle(self) -> Future[float]:
        """Have clients in the background for a fault to meet; returns at once."""
        raise NotImplementedError

    @contextmanager
    def running(self) -> Iterator[None]:
        """One round after another in the background."""
        enough = threading.Event()

        def rounds() -> None:
            while not enough.is_set():
                self.round(24)

        background = threading.Thread(target=rounds, name="rounds")
        background.start()
        try:
            yield
        finally:
            enough.set()
            background.join()

    def _start(self, work: Callable[..., float], *arguments: object) -> Future[float]:
        return self._starters.submit(work, *arguments)

    def _together(self, tasks: Sequence[Task]) -> float:
        """Have every task begin at the same moment; returns how long all of it took, in seconds."""
        started = time.monotonic()
        barrier = threading.Barrier(len(tasks))

        def meet(task: Task) -> None:
            barrier.wait(BARRIER_TIMEOUT)
            task()

        with ThreadPoolExecutor(len(tasks)) as clients:
            for future in [clients.submit(meet, task) for task in tasks]:
                future.result()
        return time.monotonic() - started


def pause(number: int) -> None:
    """What a client waits that was told to come back, or could not connect; `number` is of its
    last operation."""
    time.sleep(0.1 + number % 10 / 50)
