"""The base of both engines: a child process, and a directory with its data, log and socket."""

import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Self

import psutil

from service.embedded import leftovers, places
from service.errors import StartupError

START_LIMIT = 30.0
RECOVERY_LIMIT = 600.0

_TROUBLE = re.compile(
    r"fatal(?!:\s+the database system is)|panic|error|bad |can't|could not|failed", re.IGNORECASE
)
_LOG_PREFIX = re.compile(r"^.*?(?:(?:FATAL|PANIC|ERROR|LOG):\s+|\.\d{3} [#*.-] )")


class EngineError(StartupError):
    """An embedded engine is missing, or does not start."""


class Readiness(Enum):
    """How an engine responds after its start."""

    SILENT = "silent"
    RECOVERING = "recovering"
    READY = "ready"


class Engine:
    """One engine on one directory. It is a context manager that calls `start` and `stop`.

    A start ends everything that still runs on the directory, so two supervisors must not share one.
    `durable=False` turns fsync off, for tests. `say` receives a line when something takes long or
    permissions change.
    """

    title: ClassVar[str]
    socket_name: ClassVar[str]
    programs: ClassVar[frozenset[str]]
    stopping: ClassVar[tuple[tuple[signal.Signals, float], ...]]
    sweeping: ClassVar[signal.Signals]

    def __init__(
        self, directory: Path, *, durable: bool = True, say: Callable[[str], None] = print
    ) -> None:
        self.directory = directory.resolve()
        self.durable = durable
        self.say = say
        self.log = self.directory / "log"
        self.sockets = places.socket_directory(self.directory, self.socket_name)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address for the client library; a start does not change it."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        """The pid of the running engine."""
        return self.process.pid

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The child process of the running engine."""
        if self._process is None:
            raise EngineError(f"{self.title} is not running.")
        return self._process

    def start(self) -> None:
        """Start on the existing data, or on a new empty store, and wait until the engine answers.

        Raises EngineError, with a one-line message, if it is not installed or does not start.
        """
        try:
            places.make_private(self.directory, self._owner())
            places.make_private(self.sockets, self._owner())
            self.end_leftovers()
            self._prepare()
            self._spawn()
            self._await_ready()
        except BaseException as problem:
            self.stop()
            if isinstance(problem, OSError):
                raise EngineError(f"{self.title} will not start: {problem}") from problem
            raise

    def stop(self) -> None:
        """Stop it after it has written everything to disk, with more force if it takes too long."""
        for number, patience in self.stopping:
            if self._signal(number, patience):
                break
        self._process = None
        if self.sockets != self.directory:
            shutil.rmtree(self.sockets, ignore_errors=True)

    def kill(self) -> None:
        """Send SIGKILL, to simulate a crash; `start` recovers."""
        self._signal(signal.SIGKILL, 10.0)
        self._process = None

    def exit_status(self) -> str | None:
        """How it ended, in words; None while it runs."""
        return exit_status(self._process)

    def end_leftovers(self) -> int:
        """End the processes that an earlier run left on this directory; returns how many."""
        return leftovers.end(self._is_leftover, self.sweeping)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _owner(self) -> pwd.struct_passwd | None:
        """The user to run as; None for the current one."""
        return None

    def _prepare(self) -> None:
        """Create what the first start needs."""

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _probe(self) -> Readiness:
        raise NotImplementedError

    def _is_leftover(self, process: psutil.Process) -> bool:
        # Engines and their children never change their working directory, which tells them from
        # other installations of the same program.
        ours = process.name() in self.programs
        return ours and Path(process.cwd()).is_relative_to(self.directory)

    def _spawn(self) -> None:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, **self._surroundings())

    def _surroundings(self) -> dict[str, Any]:
        """Options to run every program of an engine without our terminal and our secrets."""
        surroundings: dict[str, Any] = {
            "cwd": self.directory,
            "env": {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            "stdin": subprocess.DEVNULL,
            "stderr": subprocess.STDOUT,
            "start_new_session": True,
        }
        if owner := self._owner():
            surroundings |= {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        return surroundings

    def _await_ready(self) -> None:
        started, limit = time.monotonic(), START_LIMIT
        while (readiness := self._probe()) is not Readiness.READY:
            waited = time.monotonic() - started
            if readiness is Readiness.RECOVERING and limit == START_LIMIT and waited > 1:
                self.say(f"{self.title} is reading its data ...")
                limit = RECOVERY_LIMIT
            if self.process.poll() is not None:
                raise self._failure("it stopped")
            if waited > limit:
                raise self._failure(f"no answer within {limit:.0f} seconds")
            time.sleep(0.02)

    def _failure(self, otherwise: str) -> EngineError:
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines()]
        telling = [line for line in lines if _TROUBLE.search(line)] or [x for x in lines if x]
        reason = _LOG_PREFIX.sub("", telling[-1]) if telling else otherwise
        return EngineError(f"{self.title} will not start: {reason} (log: {self.log})")

    def _signal(self, number: signal.Signals, patience: float) -> bool:
        """Send a signal; returns whether the process ended within `patience` seconds."""
        if self._process is None:
            return True
        self._process.send_signal(number)
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            return False
        return True


def exit_status(process: subprocess.Popen[bytes] | None) -> str | None:
    """How `process` ended, in words; None if it runs or was never started."""
    if process is None or (status := process.poll()) is None:
        return None
    return f"exit status {status}" if status >= 0 else signal.Signals(-status).name
