"""A thread for what this process must complete later."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Final

import structlog

from service.errors import CoatcheckError

log = structlog.get_logger()

INTERVAL: Final = 30.0  # seconds, ± 30 %: many processes must not ask at the same moment
RETRY: Final = 1.0
PATIENCE: Final = 2.0  # seconds that `close` waits for a task to end

Task = Callable[[], bool]  # returns whether it is done


class Chore:
    """Repeats tasks in one daemon thread: seldom, and every second while one of them is not done.

    The thread starts with `start`, or when it is first needed, and so never before a fork.
    """

    def __init__(self) -> None:
        self._tasks: list[Task] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._woken, self._ending = threading.Event(), threading.Event()
        self._raised: dict[Task, type[Exception]] = {}  # by each task that is behind

    def add(self, task: Task) -> None:
        """Repeat `task` too. Whatever it raises, it is tried again."""
        self._tasks.append(task)

    def start(self) -> None:
        """Start the thread, if this process has none. The tasks run at once."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._ending.clear()
                self._thread = threading.Thread(target=self._run, name="chore", daemon=True)
                self._thread.start()

    def wake(self) -> None:
        """Run the tasks soon."""
        self._woken.set()
        self.start()

    def close(self) -> None:
        """End the thread, if there is one."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._ending.set()
            self._woken.set()
            thread.join(PATIENCE)

    def _run(self) -> None:
        while not self._ending.is_set():
            self._woken.clear()
            if self._are_done():
                self._woken.wait(INTERVAL * random.uniform(0.7, 1.3))
            else:
                self._ending.wait(RETRY)

    def _are_done(self) -> bool:
        """Run each task once; returns whether all are done."""
        return not [task for task in self._tasks if not self._is_done(task)]

    def _is_done(self, task: Task) -> bool:
        try:
            is_done = task()
        except Exception as error:
            if self._raised.get(task) is not type(error):  # said once for each outage
                self._raised[task] = type(error)
                expected = isinstance(error, CoatcheckError)
                log.warning("chore_postponed", reason=repr(error), exc_info=not expected)
            return False
        if is_done:
            self._raised.pop(task, None)
        return is_done
