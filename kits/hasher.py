"""argon2id alone: what the machine can hash if it does nothing else.

`python -m kits.hasher LIBRARY SECONDS` prints hashes per second of one worker.
"""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import argon2

import config
from kits.generators import LoadError
from kits.load.testbed import ENVIRONMENT
from kits.scheduled import PASSWORD
from service.accounts.passwords import PasswordHasher

OURS, USUAL = "libsodium", "argon2-cffi"  # what the service hashes with, and what most others do

Compute = Callable[[str], object]


def settings() -> config.Settings:
    """What the service runs with; the stores are not needed."""
    nowhere = {"DATABASE_URL": "postgresql:///", "REDIS_URL": "unix:///"}
    return config.load({"COATCHECK_ENV": ENVIRONMENT, **nowhere})


def alone(workers: int, seconds: float, library: str = OURS) -> float:
    """Hashes per second, by as many processes and threads as so many workers have."""
    command = [sys.executable, "-m", "kits.hasher", library, str(seconds)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(workers)]
    said = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise LoadError("The hasher alone failed.")
    return sum(map(float, said))


def rate(library: str, seconds: float) -> float:
    """Hashes per second by the threads of one worker."""
    chosen = settings()
    threads, compute = chosen.hashing_threads, LIBRARIES[library](chosen)
    counts = [0] * threads
    started = time.monotonic()

    def work(number: int) -> None:
        while time.monotonic() < started + seconds:
            compute(PASSWORD)
            counts[number] += 1

    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(counts) / (time.monotonic() - started)


def _ours(chosen: config.Settings) -> Compute:
    memory, passes = chosen.argon2_memory_kib, chosen.argon2_time_cost
    return PasswordHasher(memory, passes, chosen.hashing_threads, math.inf).hash


def _usual(chosen: config.Settings) -> Compute:
    memory, passes = chosen.argon2_memory_kib, chosen.argon2_time_cost
    return argon2.PasswordHasher(memory_cost=memory, time_cost=passes, parallelism=1).hash


LIBRARIES: dict[str, Callable[[config.Settings], Compute]] = {OURS: _ours, USUAL: _usual}


if __name__ == "__main__":
    print(rate(sys.argv[1], float(sys.argv[2])))
