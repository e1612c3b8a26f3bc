"""Threads for one kind of work, and a queue in front of them that is bounded by time.

First come, first served: a request that could still be served within the limit is never turned
away, and one that has waited for longer is. While more wait than can be served, the next ones wait
out their time without a place in the queue. That spares their other costs and changes nothing for
the queue, which is never shorter than what can be served: rejections cannot cause rejections.

The threads take jobs from one queue by themselves. If the loop handed over each, a thread would
sleep between two jobs, and waking it would cost more than many a view.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, NoReturn, TypeVar

from service import metrics
from service.errors import Busy

T = TypeVar("T")

MOST_WAITING = 4096  # requests: each may hold a body
SURPLUS = 1.25  # times as many as could be served in time wait before others are turned away
LONGEST_RETRY = 30  # seconds
WEIGHT = 0.1  # of the latest job in the average


class _Job(Generic[T]):
    """Work to be done in a thread, and the future that hears of it."""

    __slots__ = ("_claims", "expiry", "outcome", "wanted", "work")

    def __init__(
        self, work: Callable[[], T], outcome: asyncio.Future[T], wanted: Callable[[], bool]
    ) -> None:
        self.work: Callable[[], T] | None = work
        self.outcome = outcome
        self.wanted: Callable[[], bool] | None = wanted
        self.expiry: asyncio.TimerHandle | None = None
        self._claims = [None]

    def claim(self) -> bool:
        """True for the first caller only: the thread that takes the job, or the loop whose time
        for it is over."""
        try:
            self._claims.pop()
        except IndexError:
            return False
        return True


# A job that is done, its result, and what it raised; _UNDONE if it was not wanted any more.
_Done = tuple[_Job[Any], Any, Exception | None]
_UNDONE = object()


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
        self._longest_wait = longest_wait
        self._holds_back = holds_back
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._done: deque[_Done] = deque()
        self._is_collecting = False
        self._size = threads
        self._outstanding = 0  # jobs that wait or run
        self._moved_at = self._loop.time()  # when a thread last took or ended a job
        self._collected_at = self._moved_at  # when the last one ended or had no need to wait
        self._expired_at = -math.inf  # when a job last ran out of time
        self._interval = 0.0  # seconds between two jobs that end while others wait, averaged
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
        return self._outstanding >= self._size

    @property
    def waiting(self) -> int:
        """How many jobs wait for a thread."""
        return max(0, self._outstanding - self._size)

    @property
    def is_overrun(self) -> bool:
        """Whether jobs are running out of time, and far more wait than threads can take on."""
        if self.waiting >= MOST_WAITING:
            return True
        if self._loop.time() - self._expired_at > self._longest_wait:
            return False
        return self.waiting * self._interval >= SURPLUS * self._longest_wait

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
            wanted: asked when its turn comes, in the thread; if False, `work` is not called.

        Raises:
            Busy: its turn did not come in time.
            Whatever `work` raises.
        """
        outcome: asyncio.Future[T] = self._loop.create_future()
        job = _Job(work, outcome, wanted)
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
        """End the threads once they are done."""
        for _ in self._threads:
            self._jobs.put(None)

    @property
    def _is_stuck(self) -> bool:
        return not self._holds_back and self._loop.time() - self._moved_at > self._longest_wait

    def _expire(self, job: _Job[Any]) -> None:
        if not job.claim():  # a thread was faster
            return
        self._outstanding -= 1
        job.work = job.wanted = None  # its place in the queue holds no request any more
        if not job.outcome.done():
            self._expired_at = self._loop.time()
            self._shed.count()
            job.outcome.set_exception(self._busy())

    def _busy(self) -> Busy:
        wait = (self.waiting + 1) * self._interval
        return Busy(min(max(1, math.ceil(wait)), LONGEST_RETRY))

    def _work(self) -> None:
        while job := self._jobs.get():
            if not job.claim():  # its time was over
                continue
            self._moved_at = time.monotonic()  # the loop's clock
            self._done.append((job, *_carried_out(job)))
            # Whatever else is done until the loop gets its turn is collected with it.
            if not self._is_collecting:
                self._is_collecting = True
                try:
                    self._loop.call_soon_threadsafe(self._collect)
                except RuntimeError:  # the loop has ended, and nobody waits
                    return

    def _collect(self) -> None:
        self._is_collecting = False  # before the deque is emptied, so that nothing stays in it
        others_waited, count = self.waiting > 0, 0
        while self._done:
            self._finish(*self._done.popleft())
            count += 1
        now = self._loop.time()
        if others_waited and count:
            weight = 1 - (1 - WEIGHT) ** count
            self._interval += weight * ((now - self._collected_at) / count - self._interval)
        self._moved_at = self._collected_at = now

    def _finish(self, job: _Job[Any], result: Any, error: Exception | None) -> None:
        self._outstanding -= 1
        if job.expiry:
            job.expiry.cancel()
        if job.outcome.done():  # its request was canceled
            return
        if error is not None:
            job.outcome.set_exception(error)
        elif result is _UNDONE:
            job.outcome.cancel()
        else:
            job.outcome.set_result(result)


def _carried_out(job: _Job[Any]) -> tuple[Any, Exception | None]:
    """The result of a job, or what it raised."""
    if job.work is None or job.wanted is None or job.outcome.done() or not job.wanted():
        return _UNDONE, None
    try:
        return job.work(), None
    except StopIteration:  # which no future takes
        return None, RuntimeError("StopIteration was raised")
    except Exception as error:  # noqa: BLE001 - the request that waits for it handles it
        return None, error
    except BaseException as error:  # noqa: BLE001 - it must not end the event loop
        return None, RuntimeError(f"{type(error).__name__} was raised")
