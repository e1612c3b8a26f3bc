from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from prometheus_client import REGISTRY

from service.errors import Busy
from service.front import lanes
from service.front.lanes import Lane
from tests.loops import elapse, eventually, on_loop, turns

TURN = 10.0  # seconds


class Occupied:
    """A lane whose threads are all busy until `go_on`."""

    def __init__(
        self, threads: int = 1, longest_wait: float = TURN, holds_back: bool = False
    ) -> None:
        self.lane = Lane("test", threads, longest_wait, holds_back)
        self._go_on = [threading.Event() for _ in range(threads)]

    async def __aenter__(self) -> Occupied:
        running = [threading.Event() for _ in self._go_on]
        self._jobs = [
            asyncio.ensure_future(self.lane.run(lambda n=n: running[n].set() or self._hold(n)))
            for n in range(len(running))
        ]
        await eventually(lambda: all(each.is_set() for each in running))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.go_on()
        await asyncio.gather(*self._jobs)
        self.lane.close()

    def ask(self, work: Callable[[], Any], *wanted: Callable[[], bool]) -> asyncio.Future[Any]:
        return asyncio.ensure_future(self.lane.run(work, *wanted))

    def go_on(self, *which: int) -> None:
        for event in [self._go_on[n] for n in which] or self._go_on:
            event.set()

    def _hold(self, number: int) -> None:
        assert self._go_on[number].wait(20)


class Learned(Occupied):
    """An occupied lane of one thread whose last two jobs ended so many seconds apart."""

    def __init__(self, interval: float, longest_wait: float, holds_back: bool = False) -> None:
        super().__init__(1, longest_wait, holds_back)
        self._interval = interval

    async def __aenter__(self) -> Learned:
        slow = self.ask(lambda: threading.Event().wait(self._interval))
        with patch.object(lanes, "WEIGHT", 1.0):  # of the latest job alone
            await super().__aenter__()
            await slow
        return self


def now() -> float:
    return asyncio.get_running_loop().time()


async def rejected(asked: asyncio.Future[Any]) -> Busy:
    with pytest.raises(Busy) as caught:
        await asked
    return caught.value


@on_loop
async def test_work_is_done_in_a_thread_and_its_result_passed_on() -> None:
    lane = Lane("test", 1, TURN, holds_back=False)
    assert await lane.run(threading.get_ident) != threading.get_ident()
    lane.close()


@on_loop
async def test_as_many_jobs_run_at_a_time_as_there_are_threads() -> None:
    lane = Lane("test", 3, TURN, holds_back=False)
    together = threading.Barrier(3)
    await asyncio.gather(*(lane.run(lambda: together.wait(10)) for _ in range(9)))
    lane.close()


@on_loop
async def test_jobs_are_served_in_the_order_in_which_they_came() -> None:
    served: list[int] = []
    async with Occupied() as occupied:
        asked = [occupied.ask(lambda n=n: served.append(n)) for n in range(20)]
        await turns()
        assert served == []
        occupied.go_on()
        await asyncio.gather(*asked)
    assert served == list(range(20))


@pytest.mark.parametrize("error", [OSError("of the work"), StopIteration(), KeyError("key")])
@on_loop
async def test_what_the_work_raises_is_passed_on_and_the_thread_goes_on(error: Exception) -> None:
    lane = Lane("test", 1, TURN, holds_back=False)

    def fail() -> None:
        raise error

    with pytest.raises((type(error), RuntimeError)):
        await lane.run(fail)
    assert await lane.run(lambda: "next") == "next"
    lane.close()


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), GeneratorExit()])
@on_loop
async def test_work_that_would_end_the_process_does_not(error: BaseException) -> None:
    lane = Lane("test", 1, TURN, holds_back=False)

    def fail() -> None:
        raise error

    with pytest.raises(RuntimeError, match="was raised"):
        await lane.run(fail)
    assert await lane.run(lambda: "next") == "next"
    lane.close()


@on_loop
async def test_a_job_whose_turn_does_not_come_in_time_is_rejected_and_never_done() -> None:
    """G12: overload is shed."""
    done: list[int] = []
    async with Occupied(longest_wait=0.1) as occupied:
        started = now()
        late = occupied.ask(lambda: done.append(1))
        await rejected(late)
        assert 0.09 < now() - started < 1.0
        occupied.go_on()
    assert done == []


@on_loop
async def test_a_job_whose_turn_comes_in_time_is_done_however_long_it_takes() -> None:
    """G12: an accepted request loses nothing."""
    async with Occupied(longest_wait=0.2) as occupied:
        go_on = threading.Event()
        asked = occupied.ask(lambda: go_on.wait(10))
        occupied.go_on()
        await elapse(0.3)
        assert not asked.done()
        go_on.set()
        assert await asked


@on_loop
async def test_a_later_job_is_not_served_in_place_of_one_that_was_rejected() -> None:
    """Each has its own time, and the lane forgets the ones whose time is over."""
    served: list[str] = []
    async with Occupied(longest_wait=0.15) as occupied:
        first = occupied.ask(lambda: served.append("first"))
        await elapse(0.1)
        second = occupied.ask(lambda: served.append("second"))
        await rejected(first)
        assert not second.done()
        occupied.go_on()
        await second
    assert served == ["second"]
    assert not occupied.lane.waiting


@on_loop
async def test_threads_that_are_stuck_reject_at_once() -> None:
    """No thread became free within the wait, so the next job would be rejected, too."""
    async with Occupied(threads=2, longest_wait=0.1) as occupied:
        await rejected(occupied.ask(int))
        asked = [occupied.ask(int) for _ in range(100)]
        await turns()  # far less than the wait
        assert all(each.done() for each in asked)
        for each in asked:
            await rejected(each)
        assert not occupied.lane.waiting
        occupied.go_on(0)
        assert await eventually_done(occupied) == 0


async def eventually_done(occupied: Occupied) -> Any:
    """What a job returns once the lane takes jobs again."""
    while True:
        try:
            return await occupied.lane.run(int)
        except Busy:
            await asyncio.sleep(0)


@on_loop
async def test_while_threads_become_free_a_job_may_wait_for_the_whole_time() -> None:
    async with Occupied(threads=2, longest_wait=0.2) as occupied:
        await elapse(0.15)
        occupied.go_on(0)
        hold = threading.Event()
        taken = asyncio.ensure_future(occupied.lane.run(lambda: hold.wait(10)))
        await elapse(0.1)
        waiting = occupied.ask(lambda: "served")  # 0.25 s after the first job began
        await turns()
        assert not waiting.done()
        hold.set()
        assert await waiting == "served"
        await taken


@on_loop
async def test_a_lane_that_holds_back_rejects_no_job_before_the_wait_is_over() -> None:
    """A client that retries at once would otherwise use up the time of those being served."""
    async with Occupied(longest_wait=0.1, holds_back=True) as occupied:
        await rejected(occupied.ask(int))
        started = now()
        await rejected(occupied.ask(int))  # no thread has moved for longer than the wait
        assert now() - started >= 0.09


@on_loop
async def test_a_lane_that_holds_back_serves_every_waiting_job_once_a_thread_is_free() -> None:
    """However long it took: a hash that is slow says nothing of the next one."""
    async with Occupied(longest_wait=0.2, holds_back=True) as occupied:
        await elapse(0.3)
        asked = occupied.ask(lambda: "served")
        await turns()
        occupied.go_on()
        assert await asked == "served"


@pytest.mark.parametrize("holds_back", [True, False])
@on_loop
async def test_a_limited_number_of_jobs_wait(
    holds_back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "MOST_WAITING", 10)
    async with Occupied(longest_wait=0.5, holds_back=holds_back) as occupied:
        waiting = [occupied.ask(int) for _ in range(10)]
        await turns()
        started = now()
        await rejected(occupied.ask(int))
        assert (now() - started > 0.4) == holds_back
        occupied.go_on()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    if not holds_back:
        assert outcomes == [0] * 10


@on_loop
async def test_a_job_that_is_no_longer_wanted_is_not_done() -> None:
    done: list[str] = []
    async with Occupied() as occupied:
        unwanted = occupied.ask(lambda: done.append("unwanted"), lambda: False)
        wanted = occupied.ask(lambda: done.append("wanted"), lambda: True)
        await turns()
        occupied.go_on()
        await wanted
        with pytest.raises(asyncio.CancelledError):
            await unwanted
    assert done == ["wanted"]


@on_loop
async def test_a_request_that_is_cancelled_leaves_no_trace() -> None:
    """It takes no other job's turn, neither while it waits nor while it is under way."""
    done: list[str] = []
    async with Occupied(longest_wait=0.3) as occupied:
        cancelled = occupied.ask(lambda: done.append("cancelled"))
        other = occupied.ask(lambda: done.append("other"))
        await turns()
        cancelled.cancel()
        occupied.go_on()
        await other
        hold = threading.Event()
        under_way = occupied.ask(lambda: hold.wait(10))
        await turns()
        under_way.cancel()
        hold.set()
        assert await occupied.ask(lambda: "next") == "next"
        await eventually(lambda: not occupied.lane.is_full)
    assert done == ["other"]
    assert not occupied.lane.waiting


@on_loop
async def test_retry_after_says_how_long_the_waiting_jobs_will_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By how long it took between two jobs that ended lately."""
    async with Occupied(longest_wait=0.1) as occupied:
        assert (await rejected(occupied.ask(int))).retry_after == 1
    async with Learned(interval=0.1, longest_wait=TURN) as learned:
        monkeypatch.setattr(lanes, "MOST_WAITING", 19)
        waiting = [learned.ask(int) for _ in range(19)]
        await turns()
        assert 2 <= (await rejected(learned.ask(int))).retry_after < 10
        monkeypatch.setattr(lanes, "LONGEST_RETRY", 1)
        assert (await rejected(learned.ask(int))).retry_after == 1
        learned.go_on()
        await asyncio.gather(*waiting)


@on_loop
async def test_how_long_jobs_take_is_averaged_over_many_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Occupied() as occupied:
        pause = threading.Event()
        jobs = [occupied.ask(lambda: pause.wait(0.02)) for _ in range(40)]
        occupied.go_on()
        await asyncio.gather(*jobs)
        hold = threading.Event()
        monkeypatch.setattr(lanes, "MOST_WAITING", 200)
        waiting = [occupied.ask(lambda: hold.wait(20)) for _ in range(201)]
        await turns()
        assert 3 <= (await rejected(occupied.ask(int))).retry_after <= 20
        hold.set()
        await asyncio.gather(*waiting)


@on_loop
async def test_every_rejection_is_counted() -> None:
    def shed() -> float:
        labels = {"lane": "test"}
        return REGISTRY.get_sample_value("coatcheck_shed_requests_total", labels) or 0

    before = shed()
    async with Occupied(longest_wait=0.05) as occupied:
        for _ in range(3):
            await rejected(occupied.ask(int))
        await turns()
    assert shed() == before + 3


@on_loop
async def test_a_lane_that_is_closed_finishes_what_is_under_way() -> None:
    lane = Lane("closing", 2, TURN, holds_back=False)
    go_on = threading.Event()
    jobs = [asyncio.ensure_future(lane.run(lambda: go_on.wait(10))) for _ in range(2)]
    await turns()
    lane.close()
    go_on.set()
    assert await asyncio.gather(*jobs) == [True, True]
    await eventually(lambda: not any("closing" in each.name for each in threading.enumerate()))


@on_loop
async def test_a_lane_that_is_late_turns_away_what_has_no_chance_and_as_late_as_the_rest() -> None:
    """Four jobs are served within the wait, and half as many more may wait."""
    async with Learned(interval=0.1, longest_wait=0.4, holds_back=True) as learned:
        await rejected(learned.ask(int))
        waiting = []
        while not learned.lane.is_overrun:
            waiting.append(learned.ask(lambda: "served"))
            await turns()
        assert 2 < len(waiting) < 8
        started = now()
        hopeless = learned.ask(lambda: "served")
        await turns()
        learned.go_on()
        assert set(await asyncio.gather(*waiting)) == {"served"}
        await rejected(hopeless)
        assert now() - started >= 0.39


@on_loop
async def test_a_lane_whose_jobs_are_in_time_turns_none_away_however_many_wait() -> None:
    """It was slow once, while a database hung, and has no reason to think that it still is."""
    async with Learned(interval=0.1, longest_wait=1.0, holds_back=True) as learned:
        waiting = [learned.ask(lambda: "served") for _ in range(50)]
        await turns()
        assert not learned.lane.is_overrun
        learned.go_on()
        assert await asyncio.gather(*waiting) == ["served"] * 50
