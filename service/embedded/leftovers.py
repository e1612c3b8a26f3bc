"""Processes left over from an earlier run, identified by what they are, never by a stored pid."""

import signal
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

PATIENCE = 10.0
KILL_LIMIT = 10.0


def end(belongs: Callable[[psutil.Process], bool], request: signal.Signals) -> int:
    """End every process that `belongs` and return how many there were.

    Each is sent `request` first, and SIGKILL if it is still there after 10 seconds. psutil compares
    start times before it signals, so a pid that was given to another process meanwhile is safe.
    """
    found = [process for process in psutil.process_iter() if _answers(belongs, process)]
    alive = found
    for number, patience in ((request, PATIENCE), (signal.SIGKILL, KILL_LIMIT)):
        for process in alive:
            _send(process, number)
        alive = _wait(alive, patience)
        if not alive:
            break
    return len(found)


def _answers(belongs: Callable[[psutil.Process], bool], process: psutil.Process) -> bool:
    try:
        return belongs(process)
    except psutil.Error:
        return False


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _wait(processes: list[psutil.Process], patience: float) -> list[psutil.Process]:
    """Those that are still there after `patience` seconds."""
    deadline = time.monotonic() + patience
    while (alive := [process for process in processes if _lives(process)]) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.02)
    return alive


def _lives(process: psutil.Process) -> bool:
    # A zombie holds nothing once its last thread is gone, and an init that reaps late must not
    # hold us up.
    try:
        zombie = process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
        return process.is_running() and not zombie
    except psutil.NoSuchProcess:
        return False
