"""A proxy between the workers and both engines. It has a process of its own, so that it stays quick
however busy the clients are."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import re
import signal
import threading
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from kits.races.proxy.proxy import Connection, Proxy
from kits.races.proxy.rule import Rule

START_TIMEOUT = 20.0
STOP_TIMEOUT = 5.0


class ProxyProcess:
    """The process, from outside. Any thread may use it."""

    def __init__(self, names: str, sockets: dict[str, tuple[Path, Path]]) -> None:
        """
        Args:
            names: a pattern of the names that rules can refer to.
            sockets: for each engine, where the proxy listens and where the engine does.
        """
        context = multiprocessing.get_context("spawn")
        self._pipe: Pipe
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, names, sockets), daemon=True)
        self._lock = threading.Lock()
        self._rules = 0
        self._process.start()
        other.close()
        if not self._pipe.poll(START_TIMEOUT):
            raise TimeoutError("the proxy does not listen")
        self._pipe.recv()

    def add_rule(self, rule: Rule) -> int:
        """Put a rule in force; returns its number."""
        with self._lock:
            self._rules += 1
            number = self._rules
        self.call("add_rule", number, rule)
        return number

    def call(self, method: str, *arguments: object) -> Any:
        """Call a method of the Proxy."""
        with self._lock:
            self._pipe.send((method, arguments))
            return self._pipe.recv()

    def stop(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(STOP_TIMEOUT)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _serve(pipe: Pipe, names: str, sockets: dict[str, tuple[Path, Path]]) -> None:
    """Run the proxy, and carry out the calls from the pipe until its other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles it, and then ends us
    proxy, loop = Proxy(re.compile(names)), asyncio.new_event_loop()
    for engine, (path, target) in sockets.items():
        loop.run_until_complete(_listen(proxy, engine, path, target))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    with contextlib.suppress(EOFError, BrokenPipeError):
        pipe.send("listening")
        while True:
            method, arguments = pipe.recv()
            called = _call(proxy, method, arguments)
            pipe.send(asyncio.run_coroutine_threadsafe(called, loop).result())


async def _listen(proxy: Proxy, engine: str, path: Path, target: Path) -> None:
    async def connected(worker: asyncio.StreamReader, to_worker: asyncio.StreamWriter) -> None:
        try:
            server, to_server = await asyncio.open_unix_connection(target)
        except OSError:
            to_worker.close()
            return
        await Connection(proxy, engine, (worker, to_worker, server, to_server)).run()

    await asyncio.start_unix_server(connected, path, backlog=1024)


async def _call(proxy: Proxy, method: str, arguments: tuple[Any, ...]) -> Any:
    return getattr(proxy, method)(*arguments)
