"""What a session write costs under `appendfsync everysec` and under `always`.

`python -m kits.bench.fsync` takes a few seconds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from kits.report import Report, number, table
from service.embedded import RedisEngine
from service.sessions.record import NewSession
from service.sessions.rules import Limits, SessionRules
from service.sessions.store import SessionStore
from service.storage.redis import connect

POLICIES = ("everysec", "always")
WRITERS = (1, 16)
COLUMNS = ("appendfsync", "writers at a time", "median µs", "writes/s")


def rows(url: str, writes: int) -> Iterator[list[str]]:
    """A row of the table for each policy and number of writers."""
    client = connect(url)
    limits = Limits(3600, 3600)
    store = SessionStore(client, SessionRules(limits, limits), 50)

    def write(_: int) -> float:
        started = time.perf_counter()
        store.create(NewSession(), {"key": b"value"})
        return time.perf_counter() - started

    for policy in POLICIES:
        client.config_set("appendfsync", policy)
        for writers in WRITERS:
            started = time.perf_counter()
            with ThreadPoolExecutor(writers) as pool:
                took = statistics.median(pool.map(write, range(writes)))
            rate = writes / (time.perf_counter() - started)
            yield [policy, str(writers), number(took * 1e6), number(rate)]


def main() -> int:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(prog="python -m kits.bench.fsync", description=__doc__)
    parser.add_argument("--writes", type=int, default=2_000, help="for each row")
    parser.add_argument("--output", type=Path, default=Path(".data/bench"), help="a directory")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    report = Report("Price of a synchronous write")
    with (
        TemporaryDirectory(prefix="coatcheck-fsync-") as directory,
        RedisEngine(Path(directory)) as redis,
    ):
        measured = list(rows(redis.url, options.writes))
    report.section("Session writes", table(COLUMNS, measured))
    report.publish(options.output / "fsync.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
