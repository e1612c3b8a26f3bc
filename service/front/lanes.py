"""Threads for one kind of work, with a queue in front of them that is limited by time.

Jobs run in the order in which they arrive. A job that could still run within the limit is accepted,
and one that has waited for longer is rejected. While more jobs wait than the threads can run in
time, further ones are rejected without a place in the queue, which saves most of their cost. The
queue stays long enough to keep the threads busy, so no rejection causes another one.

The threads take jobs from the queue by themselves. If the loop handed over each job, a thread would
sleep between two jobs, and waking it costs more than many views do.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, NoReturn, TypeVar

from service import metrics
from service.errors import Busy
from service.front.jobs import Job

T = TypeVar("T")

MOST_WAITING = 4096  # jobs; each may hold the body of a request
SURPLUS = 1.25  # times what the threads can run in time may wait, and no more
LONGEST_RETRY = 30  # seconds
WEIGHT = 0.1  # of the latest job in the moving average


class Lane:
    """A fixed number of threads and their queue, for jobs from one event loop."""

    def __init__(self, name: str, threads: int, longest_wait: float, holds_back: bool) -> None:
        """
        Args:
            name: of the lane, in metrics and in the names of its threads.
            threads: how many jobs run at a time.
            longest_wait: seconds that a job may wait for a thread.
            holds_back: whether every rejection takes `longest_wait`, so that clients that retry at
                once do not take processor time from the jobs that run. Otherwise, jobs are
                rejected at once while no thread has become free for `longest_wait`.
        """
        self._longest_wait = longest_wait
        self._holds_back = holds_back
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[Job[Any] | None] = SimpleQueue()
        self._done: deque[Job[Any]] = deque()
        self._is_collecting = False
        self._size = threads
        self._outstanding = 0  # jobs that wait or run
        self._moved_at = self._loop.time()  # when a thread last took a job, or one ended
        self._collected_at = self._moved_at  # when a job last ended, or did not have to wait
        self._expired_at = -math.inf  # when a job last expired
        self._interval = 0.0  # average seconds between the ends of two jobs while others wait
        self._shed = metrics.Tally(metrics.SHED.labels(name))
        for number in range(threads):
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    @property
    def is_full(self) -> bool:
        """Whether a job would have to wait for a thread."""
        return self._outstanding >= self._size

    @property
    def waiting(self) -> int:
        """How many jobs wait for a thread."""
        return max(0, self._outstanding - self._size)

    @property
    def is_overrun(self) -> bool:
        """Whether jobs expire, and clearly more wait than the threads can run in time."""
        if self.waiting >= MOST_WAITING:
            return True
        if self._loop.time() - self._expired_at > self._longest_wait:
            return False
        return self.waiting * self._interval >= SURPLUS * self._longest_wait

    async def turn_away(self) -> NoReturn:
        """Reject a job that has no chance; after `longest_wait` if the lane holds back.

        Raises:
            Busy: always.
        """
        if self._holds_back:
            await asyncio.sleep(self._longest_wait)
        self._shed.count()
        raise self._busy()

    async def run(self, work: Callable[[], T], wanted: Callable[[], bool] = lambda: True) -> T:
        """Call `work` in a thread, and return its result.

        Args:
            work: may block.
            wanted: called in the thread before `work`, which it prevents by returning False.

        Raises:
            Busy: no thread became free in time.
            asyncio.CancelledError: `wanted` returned False.
            Whatever `work` raises.
        """
        outcome: asyncio.Future[T] = self._loop.create_future()
        job = Job(work, outcome, wanted)
        if self.is_full:
            if self._is_stuck or self.is_overrun:
                await self.turn_away()
            job.expiry = self._loop.call_later(self._longest_wait, self._expire, job)
        else:
            self._moved_at = self._collected_at = self._loop.time()
        self._outstanding += 1
        self._jobs.put(job)
        return await outcome

    def close(self) -> None:
        """End each thread after its current job and all that wait."""
        for _ in range(self._size):
            self._jobs.put(None)

    @property
    def _is_stuck(self) -> bool:
        return not self._holds_back and self._loop.time() - self._moved_at > self._longest_wait

    def _expire(self, job: Job[Any]) -> None:
        if not job.claim():  # a thread was faster
            return
        self._outstanding -= 1
        del job.work, job.wanted  # it stays in the queue, but must not keep its request in memory
        if not job.outcome.done():
            self._expired_at = self._loop.time()
            self._shed.count()
            job.outcome.set_exception(self._busy())

    def _busy(self) -> Busy:
        wait = (self.waiting + 1) * self._interval
        return Busy(min(max(1, math.ceil(wait)), LONGEST_RETRY))

    def _work(self) -> None:
        while job := self._jobs.get():
            if not job.claim():  # it has expired
                continue
            self._moved_at = time.monotonic()  # the loop's clock
            job.carry_out()
            self._done.append(job)
            # One call collects every job that is done by the loop's next turn.
            if not self._is_collecting:
                self._is_collecting = True
                try:
                    self._loop.call_soon_threadsafe(self._collect)
                except RuntimeError:  # the loop has ended
                    return

    def _collect(self) -> None:
        self._is_collecting = False  # first, so that a job that is done meanwhile is not forgotten
        others_waited, count = self.waiting > 0, 0
        while self._done:
            self._outstanding -= 1
            self._done.popleft().finish()
            count += 1
        now = self._loop.time()
        if others_waited and count:
            weight = 1 - (1 - WEIGHT) ** count
            self._interval += weight * ((now - self._collected_at) / count - self._interval)
        self._moved_at = self._collected_at = now
