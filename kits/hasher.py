"""argon2id alone: how many passwords the machine can hash if it does nothing else.

`python -m kits.hasher LIBRARY SECONDS` prints the hashes per second of one worker.
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
from kits.engines import PRODUCTION
from kits.generators import LoadError
from service.credentials.hashing import PasswordHasher
from tests.passwords import PASSWORD

SERVICE, COMMON = "libsodium", "argon2-cffi"  # what the service uses, and what most others use

Compute = Callable[[str], object]


def settings() -> config.Settings:
    """The settings of the service; it connects to no store here."""
    nowhere = {"DATABASE_URL": "postgresql:///", "REDIS_URL": "unix:///"}
    return config.load({"COATCHECK_ENV": PRODUCTION, **nowhere})


def hashes_per_second(workers: int, seconds: float, library: str = SERVICE) -> float:
    """Hash in one process for each worker, with the threads that a worker has."""
    command = [sys.executable, "-m", "kits.hasher", library, str(seconds)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(workers)]
    outputs = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise LoadError("A process that only hashes failed.")
    return sum(map(float, outputs))


def _one_worker(library: str, seconds: float) -> float:
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


def _service(chosen: config.Settings) -> Compute:
    memory, passes = chosen.argon2_memory_kib, chosen.argon2_time_cost
    return PasswordHasher(memory, passes, chosen.hashing_threads, math.inf).hash


def _common(chosen: config.Settings) -> Compute:
    memory, passes = chosen.argon2_memory_kib, chosen.argon2_time_cost
    return argon2.PasswordHasher(memory_cost=memory, time_cost=passes, parallelism=1).hash


LIBRARIES: dict[str, Callable[[config.Settings], Compute]] = {SERVICE: _service, COMMON: _common}


if __name__ == "__main__":
    print(_one_worker(sys.argv[1], float(sys.argv[2])))
