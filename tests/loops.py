"""Tests that run on an event loop of their own: uvloop's, as in production."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")
LONGEST_TEST = 30.0  # seconds


def on_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Have pytest run a coroutine function as a test."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(LONGEST_TEST):
                await test(*args, **kwargs)

        uvloop.run(bounded())

    return run


async def eventually(condition: Callable[[], T], within: float = 10.0) -> T:
    """What `condition` returns once it is true, while the loop goes on."""
    deadline = asyncio.get_running_loop().time() + within
    while not (result := condition()):
        late = asyncio.get_running_loop().time() >= deadline
        assert not late, f"did not happen within {within} s"
        await asyncio.sleep(0.002)
    return result


async def elapse(seconds: float) -> None:
    """Let time pass, for what depends on nothing else."""
    await asyncio.sleep(seconds)


async def turns(count: int = 20) -> None:
    """Let the loop do what it can do now."""
    for _ in range(count):
        await asyncio.sleep(0)
