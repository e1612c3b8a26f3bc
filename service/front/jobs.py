"""A job of a lane: work for a thread, and the future that receives its result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_UNDONE = object()  # the result of a job that was not carried out


class Job(Generic[T]):
    """Begins and ends on the event loop; a thread carries it out in between."""

    __slots__ = ("_claims", "_error", "_result", "expiry", "outcome", "wanted", "work")

    def __init__(
        self, work: Callable[[], T], outcome: asyncio.Future[T], wanted: Callable[[], bool]
    ) -> None:
        """
        Args:
            work: may block.
            outcome: receives what `work` returns or raises; canceled if the job is not wanted.
            wanted: whether the job is still worth its work; called in the thread.
        """
        self.work = work
        self.outcome = outcome
        self.wanted = wanted
        self.expiry: asyncio.TimerHandle | None = None
        self._claims = [None]
        self._result: Any = _UNDONE
        self._error: Exception | None = None

    def claim(self) -> bool:
        """True for the first caller only: the thread that takes it, or the loop if it expires."""
        try:
            self._claims.pop()  # atomic
        except IndexError:
            return False
        return True

    def carry_out(self) -> None:
        """Do the work, in the calling thread, if it is still wanted."""
        if self.outcome.done() or not self.wanted():
            return
        try:
            self._result = self.work()
        except StopIteration:  # a future does not accept it
            self._error = RuntimeError("StopIteration was raised")
        except Exception as error:  # noqa: BLE001 - the request that waits for it handles it
            self._error = error
        except BaseException as error:  # noqa: BLE001 - it must not end the event loop
            self._error = RuntimeError(f"{type(error).__name__} was raised")

    def finish(self) -> None:
        """Pass the result to the future, on the event loop."""
        if self.expiry:
            self.expiry.cancel()
        if self.outcome.done():  # its request was canceled
            return
        if self._error is not None:
            self.outcome.set_exception(self._error)
        elif self._result is _UNDONE:
            self.outcome.cancel()
        else:
            self.outcome.set_result(self._result)
