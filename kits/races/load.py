"""The load of a race: clients that start together at a barrier, and rounds of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from random import Random

BARRIER_TIMEOUT = 30.0
HERD = 12  # clients that a fault meets

Task = Callable[[], object]


class Load:
    """What every load is built on. The seed determines every choice, but not which of several
    threads chooses first."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._starters = ThreadPoolExecutor(2, thread_name_prefix="herd")
        self._lock = threading.Lock()

    def close(self) -> None:
        """Wait for every client; none takes longer than its timeouts."""
        self._starters.shutdown()

    def round(self, size: int = 36) -> None:
        """Send a mixture of requests at the same time; returns when all are done."""
        raise NotImplementedError

    def start_traffic(self) -> Future[float]:
        """Start clients in the background for a fault to meet; returns at once."""
        raise NotImplementedError

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run one round after another in the background."""
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

    def _run_together(self, tasks: Sequence[Task]) -> float:
        """Begin every task at the same moment; returns the seconds until the last one is done."""
        started = time.monotonic()
        barrier = threading.Barrier(len(tasks))

        def begin(task: Task) -> None:
            barrier.wait(BARRIER_TIMEOUT)
            task()

        with ThreadPoolExecutor(len(tasks)) as clients:
            for future in [clients.submit(begin, task) for task in tasks]:
                future.result()
        return time.monotonic() - started


def pause(number: int) -> None:
    """Wait before a repetition; `number` is that of the last operation, and spreads the waits."""
    time.sleep(0.1 + number % 10 / 50)
