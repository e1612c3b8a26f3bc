"""Threads for one kind of work, and a queue in front of them that is bounded by time.

First come, first served: a request that could still be served within the limit is never turned
away, and one that has waited for longer is. While more wait than can be served, the next ones wait
out their time without a place in the queue. That spares their other costs and changes nothing for
the queue, which is never shorter than what can be served: rejections cannot cause rejections.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, NoReturn, TypeVar

from service import metrics
from service.errors import Busy

T = TypeVar("T")

MOST_WAITING = 4096  # requests: each may hold a body
SURPLUS = 1.5  # times as many as could be served in time wait before others are turned away
LONGEST_RETRY = 30  # seconds


class _Job(Generic[T]):
    """Work to be done in a thread, and the future that hears of it."""

    __slots__ = ("expiry", "outcome", "wanted", "work")

    def __init__(
        self, work: Callable[[], T], outcome: asyncio.Future[T], wanted: Callable[[], bool]
    ) -> None:
        self.work = work
        self.outcome = outcome
        self.wanted = wanted
        self.expiry: asyncio.TimerHandle | None = None


class Lane:
    """A fixed number of threads, fed by one event loop."""

    def __init__(self, name: str, threads: int, longest_wait: float, holds_back: bool) -> None:
        """
        Args:
            name: of the lane, for metrics and the threads' names.
            threads: how many jobs run at a time.
            longest_wait: seconds until a job's turn comes.
            holds_back: whether every rejection takes as long as the wait that it ends, so that
                clients that retry at once do not use up the time of those being served. Without
                it, a job is rejected at once while no thread has become free within
                `longest_wait`.
        """
        self._name = name
        self._free = threads
        self._longest_wait = longest_wait
        self._holds_back = holds_back
        self._waiting: deque[_Job[Any]] = deque()
        self._jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._moved_at = self._loop.time()  # when a thread last took or ended a job
        self._expired_at = -math.inf  # when a job last ran out of time
        self._interval = 0.0  # seconds between two jobs that end, averaged
        self._shed = metrics.Tally(metrics.SHED.labels(name))
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def is_full(self) -> bool:
        """Whether a job would have to wait for a thread."""
        return self._free == 0

    @property
    def is_overrun(self) -> bool:
        """Whether jobs are running out of time, and far more wait than threads can take on."""
        if len(self._waiting) >= MOST_WAITING:
            return True
        if self._loop.time() - self._expired_at > self._longest_wait:
            return False
        return len(self._waiting) * self._interval >= SURPLUS * self._longest_wait

    async def turn_away(self) -> NoReturn:
        """Reject a job that has no chance; as late as if it had waited for its turn, if the lane
        holds back.

        Raises:
            Busy: always.
        """
        if self._holds_back:
            await asyncio.sleep(self._longest_wait)
        self._shed.count()
        raise self._busy()

    async def run(self, work: Callable[[], T], wanted: Callable[[], bool] = lambda: True) -> T:
        """What `work` returns, called in a thread.

        Args:
            work: may block.
            wanted: asked when its turn comes; if False, `work` is not called.

        Raises:
            Busy: its turn did not come in time.
            Whatever `work` raises.
        """
        outcome: asyncio.Future[T] = self._loop.create_future()
        job = _Job(work, outcome, wanted)
        if self._free:
            self._free -= 1
            self._moved_at = self._loop.time()
            self._jobs.put(job)
        else:
            await self._queue(job)
        return await outcome

    def close(self) -> None:
        """End the threads once they are done."""
        for _ in self._threads:
            self._jobs.put(None)

    async def _queue(self, job: _Job[Any]) -> None:
        stuck = not self._holds_back and (self._loop.time() - self._moved_at > self._longest_wait)
        if stuck or self.is_overrun:
            await self.turn_away()
        job.expiry = self._loop.call_later(self._longest_wait, self._expire, job)
        self._waiting.append(job)

    def _expire(self, job: _Job[Any]) -> None:
        # Whoever came first expires first, so it is at the front.
        self._waiting.remove(job)
        if not job.outcome.done():
            self._expired_at = self._loop.time()
            self._shed.count()
            job.outcome.set_exception(self._busy())

    def _busy(self) -> Busy:
        wait = (len(self._waiting) + 1) * self._interval
        return Busy(min(max(1, math.ceil(wait)), LONGEST_RETRY))

    def _work(self) -> None:
        while job := self._jobs.get():
            try:
                result, error = job.work(), None
            except Exception as raised:  # noqa: BLE001 - the request that waits for it handles it
                result, error = None, raised
            except BaseException as raised:  # noqa: BLE001 - it must not end the event loop
                result, error = None, RuntimeError(f"{type(raised).__name__} was raised")
            try:
                self._loop.call_soon_threadsafe(self._finish, job, result, error)
            except RuntimeError:  # the loop has ended, and nobody waits
                return

    def _finish(self, job: _Job[Any], result: Any, error: Exception | None) -> None:
        if isinstance(error, StopIteration):  # which no future takes
            error = RuntimeError("StopIteration was raised")
        if not job.outcome.done():
            if error is None:
                job.outcome.set_result(result)
            else:
                job.outcome.set_exception(error)
        now = self._loop.time()
        if self._waiting:
            self._interval += 0.1 * (now - self._moved_at - self._interval)
        self._moved_at = now
        self._free += 1
        while self._waiting:
            waiting = self._waiting.popleft()
            if waiting.expiry:
                waiting.expiry.cancel()
            if not waiting.outcome.done() and waiting.wanted():
                self._free -= 1
                self._jobs.put(waiting)
                return
            waiting.outcome.cancel()
