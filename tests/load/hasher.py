"""argon2id alone: what the machine can hash if it does nothing else.

`python -m tests.load.hasher THREADS SECONDS` prints hashes per second.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import config
from service.accounts.passwords import PasswordHasher
from tests.load.arena import ENVIRONMENT
from tests.load.crowd import PASSWORD


def settings() -> config.Settings:
    """What the service runs with; the stores are not needed."""
    nowhere = {"DATABASE_URL": "postgresql:///", "REDIS_URL": "unix:///"}
    return config.load({"COATCHECK_ENV": ENVIRONMENT, **nowhere})


def alone(workers: int, seconds: float) -> float:
    """Hashes per second with as many threads as so many workers have, in a process of its own."""
    threads = workers * settings().hashing_threads
    command = [sys.executable, "-m", "tests.load.hasher", str(threads), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def rate(threads: int, seconds: float) -> float:
    """Hashes per second by the service's own hasher."""
    chosen = settings()
    hasher = PasswordHasher(chosen.argon2_memory_kib, chosen.argon2_time_cost, threads, 0)
    counts = [0] * threads
    started = time.monotonic()

    def work(number: int) -> None:
        while time.monotonic() < started + seconds:
            hasher.hash(PASSWORD)
            counts[number] += 1

    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(counts) / (time.monotonic() - started)


if __name__ == "__main__":
    print(rate(int(sys.argv[1]), float(sys.argv[2])))
