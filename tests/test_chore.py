"""The thread that completes what this process must complete later."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from service import chore as module
from service.chore import Chore
from service.errors import DatabaseUnavailable
from tests.conditions import eventually


@pytest.fixture
def chore() -> Iterator[Chore]:
    chore = Chore()
    yield chore
    chore.close()


def threads() -> int:
    return sum(thread.name == "chore" for thread in threading.enumerate())


def test_it_has_no_thread_before_it_is_needed(chore: Chore) -> None:
    chore.add(lambda: True)
    assert threads() == 0
    chore.wake()
    chore.wake()
    assert threads() == 1
    chore.close()
    assert threads() == 0


def test_it_runs_at_its_start_and_then_rests_until_it_is_woken(chore: Chore) -> None:
    ran = threading.Semaphore(0)
    chore.add(lambda: ran.release() is None)
    chore.start()
    assert ran.acquire(timeout=5)
    assert not ran.acquire(timeout=0.2)
    chore.wake()
    assert ran.acquire(timeout=5)


@pytest.mark.parametrize("error", [None, DatabaseUnavailable(), RuntimeError("unexpected")])
def test_a_task_that_fails_is_tried_again_and_keeps_no_other_from_its_turn(
    chore: Chore, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    monkeypatch.setattr(module, "RETRY", 0.01)
    runs, others = [], []

    def task() -> bool:
        runs.append(1)
        if len(runs) < 4 and error:
            raise error
        return len(runs) >= 4

    chore.add(task)
    chore.add(lambda: others.append(1) is None)
    chore.start()
    eventually(lambda: len(others) == 4)
    assert len(runs) == 4


def test_an_outage_is_logged_once(chore: Chore, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(module.log, "warning", lambda event, **_: lines.append(event))
    monkeypatch.setattr(module, "RETRY", 0.01)
    runs = []

    def task() -> bool:
        runs.append(1)
        raise DatabaseUnavailable

    chore.add(task)
    chore.start()
    eventually(lambda: len(runs) > 5)
    assert lines == ["chore_postponed"]


def test_a_task_that_fails_while_another_waits_is_logged(
    chore: Chore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(module.log, "warning", lambda _, reason, **__: lines.append(reason))
    monkeypatch.setattr(module, "RETRY", 0.01)
    runs = []

    def task() -> bool:
        runs.append(1)
        if len(runs) < 3:
            return False
        raise DatabaseUnavailable if len(runs) < 6 else RuntimeError("unexpected")

    chore.add(lambda: False)
    chore.add(task)
    chore.start()
    eventually(lambda: len(runs) > 8)
    assert lines == [repr(DatabaseUnavailable()), repr(RuntimeError("unexpected"))]


def test_it_can_start_again(chore: Chore) -> None:
    ran = threading.Semaphore(0)
    chore.add(lambda: ran.release() is None)
    for _ in range(2):
        chore.start()
        assert ran.acquire(timeout=5)
        chore.close()
