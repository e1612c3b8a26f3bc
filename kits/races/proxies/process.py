"""A proxy between every worker and both engines, in a process of its own: there it is quick to pass
things on, however busy the clients are."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import signal
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from kits.races.proxies.proxy import Link, Rule, Switchboard

START_TIMEOUT = 20.0
STOP_TIMEOUT = 5.0


class Proxies:
    """The process, from outside."""

    def __init__(self, names: str, sockets: dict[str, tuple[Path, Path]]) -> None:
        """
        Args:
            names: a pattern of the canonical names of this run.
            sockets: for each engine, where to listen and whither to pass it on.
        """
        context = multiprocessing.get_context("spawn")
        self._control: Connection
        self._control, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, names, sockets), daemon=True)
        self._lock = threading.Lock()
        self._armed = 0
        self._process.start()
        other.close()
        if not self._control.poll(START_TIMEOUT):
            raise TimeoutError("the proxies do not listen")
        self._control.recv()

    def arm(self, rule: Rule) -> int:
        """Put a rule in force; returns its number."""
        with self._lock:
            self._armed += 1
            number = self._armed
        self.ask("arm", number, rule)
        return number

    def ask(self, method: str, *arguments: object) -> Any:
        """Call a method of the switchboard."""
        with self._lock:
            self._control.send((method, arguments))
            return self._control.recv()

    def stop(self) -> None:
        """End the process."""
        self._control.close()
        self._process.join(STOP_TIMEOUT)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


async def _listen(board: Switchboard, engine: str, path: Path, target: Path) -> None:
    async def connected(worker: asyncio.StreamReader, to_worker: asyncio.StreamWriter) -> None:
        try:
            server, to_server = await asyncio.open_unix_connection(target)
        except OSError:
            to_worker.close()
            return
        await Link(board, engine, (worker, to_worker, server, to_server)).run()

    await asyncio.start_unix_server(connected, path, backlog=1024)


def _serve(control: Connection, names: str, sockets: dict[str, tuple[Path, Path]]) -> None:
    """Run the proxies, doing what comes in through `control`, until its other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for the parent, which then ends us
    board, loop = Switchboard(names), asyncio.new_event_loop()
    for engine, (path, target) in sockets.items():
        loop.run_until_complete(_listen(board, engine, path, target))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    with contextlib.suppress(EOFError, BrokenPipeError):
        control.send("listening")
        while True:
            method, arguments = control.recv()
            control.send(
                asyncio.run_coroutine_threadsafe(_do(board, method, arguments), loop).result()
            )


async def _do(board: Switchboard, method: str, arguments: tuple[Any, ...]) -> Any:
    return getattr(board, method)(*arguments)
