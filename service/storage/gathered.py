"""Questions that are asked while one batch is under way travel together in the next.

A question waits for no company: alone, it is carried at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")

# Carries questions and brings their answers, or an exception in place of an answer. Its second
# argument is the time, by the loop's clock, at which the oldest question was asked.
Carry = Callable[[list[Q], float], Awaitable[Sequence[A | Exception]]]

LARGEST = 256  # questions in one batch: each is answered within a few milliseconds


class Gathered(Generic[Q, A]):
    """Carries questions in batches, one batch at a time. Belongs to one event loop."""

    def __init__(self, carry: Carry[Q, A]) -> None:
        self._carry = carry
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._since = 0.0  # when the oldest one in `_waiting` was asked
        self._carrying: asyncio.Task[None] | None = None

    def ask(self, question: Q) -> asyncio.Future[A]:
        """The answer to a question. The future raises what went wrong instead."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[A] = loop.create_future()
        if not self._waiting:
            self._since = loop.time()
        self._waiting.append((question, answer))
        if self._carrying is None:
            self._carrying = loop.create_task(self._carry_all())
        return answer

    async def _carry_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
                await self._carry_batch(batch)
        finally:
            self._carrying = None

    async def _carry_batch(self, batch: list[tuple[Q, asyncio.Future[A]]]) -> None:
        answers: Sequence[A | Exception]
        try:
            answers = await self._carry([question for question, _ in batch], self._since)
        except Exception as error:  # noqa: BLE001 - whoever asked handles it
            # One of its own for each: the tracebacks of a shared one would mix.
            answers = [_copy(error) for _ in batch]
        for (_, waiting), answer in zip(batch, answers, strict=True):
            if waiting.done():  # whoever asked has given up
                continue
            if isinstance(answer, Exception):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)


def _copy(error: Exception) -> Exception:
    fresh = type(error).__new__(type(error), *error.args)
    fresh.args = error.args
    fresh.__cause__ = error
    return fresh
