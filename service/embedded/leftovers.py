"""Processes left over from an earlier run, recognized by their properties, not by a stored pid."""

import signal
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

PATIENCE = 10.0
KILL_LIMIT = 10.0


def end(belongs: Callable[[psutil.Process], bool], request: signal.Signals) -> int:
    """End every process for which `belongs` is true; returns how many there were.

    Each gets the signal `request` first, and SIGKILL if it still runs after 10 seconds. psutil
    compares start times before it sends a signal, so a reused pid is safe.
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
    """The processes that still run after `patience` seconds."""
    deadline = time.monotonic() + patience
    while (alive := [process for process in processes if _lives(process)]) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.02)
    return alive


def _lives(process: psutil.Process) -> bool:
    # A zombie whose threads have all ended holds nothing, and its parent may be slow to reap it.
    try:
        zombie = process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
        return process.is_running() and not zombie
    except psutil.NoSuchProcess:
        return False
