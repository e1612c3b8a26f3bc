"""Reads in flight together: one pipeline, and to each its own answer."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from redis import Redis, RedisCluster
from redis.exceptions import RedisError

from service.embedded import Redis as EmbeddedRedis
from service.errors import SessionStoreUnavailable
from service.storage import redis as storage
from service.storage.coalesced import LARGEST, CoalescedReads
from tests.conditions import eventually
from tests.redis_engines import Group

READERS = 50


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work` returns or raises in so many threads that start at a barrier."""
    barrier = threading.Barrier(count)

    def run(number: int) -> Any:
        barrier.wait(10)
        try:
            return work(number)
        except SessionStoreUnavailable as error:
            return error

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


def reader(client: Redis | RedisCluster) -> Callable[[str], Any]:
    reads = CoalescedReads(client)

    def read(key: str) -> Any:
        with storage.failing_as(SessionStoreUnavailable):
            return reads.read("GET", key)

    return read


class Held:
    """A client whose first pipeline waits, so that the others gather behind it."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self.go_on = threading.Event()
        self.sizes: list[int] = []

    def execute_command(self, *command: str) -> Any:
        self.sizes.append(1)
        assert self.go_on.wait(10)
        return self._client.execute_command(*command)

    def pipeline(self, transaction: bool) -> Any:
        pipeline = self._client.pipeline(transaction=transaction)
        execute = pipeline.execute

        def counted(raise_on_error: bool) -> Any:
            self.sizes.append(len(pipeline))
            return execute(raise_on_error=raise_on_error)

        pipeline.execute = counted
        return pipeline


@contextmanager
def gathered(held: Held, count: int) -> Iterator[tuple[Future[Any], list[Future[Any]]]]:
    """One read that was held up, and `count` that came meanwhile."""
    reads = CoalescedReads(held)  # type: ignore[arg-type]
    with ThreadPoolExecutor(count + 1) as threads:
        first = threads.submit(reads.read, "GET", "first")
        eventually(lambda: held.sizes == [1])
        (line,) = reads._lines.values()
        rest = []
        for n in range(count):
            rest.append(threads.submit(reads.read, "GET", f"key{n}"))
            eventually(lambda n=n: len(line._gathering.commands) == (n + 1) % LARGEST)  # type: ignore[misc]
        held.go_on.set()
        yield first, rest


def test_reads_that_meet_travel_in_one_pipeline(redis: Redis) -> None:
    redis.mset({f"key{n}": n for n in range(READERS)})
    held = Held(redis)
    with gathered(held, READERS) as (_, rest):
        assert [each.result(10) for each in rest] == [str(n).encode() for n in range(READERS)]
    assert held.sizes == [1, READERS]


def test_a_pipeline_has_its_limit(redis: Redis) -> None:
    held = Held(redis)
    with gathered(held, LARGEST + 2) as (_, rest):
        assert [each.result(10) for each in rest] == [None] * (LARGEST + 2)
    assert held.sizes == [1, LARGEST, 2]


def test_everybody_gets_the_own_answer(redis_engine: EmbeddedRedis, redis: Redis) -> None:
    redis.mset({f"key{n}": n for n in range(READERS)})
    read = reader(storage.connect(redis_engine.url))

    def work(number: int) -> list[bytes]:
        return [read(f"key{number}") for _ in range(40)]

    for number, answers in enumerate(together(READERS, work)):
        assert answers == [str(number).encode()] * 40


def test_everybody_gets_the_own_answer_on_a_cluster(
    cluster_engine: Group, redis_cluster: Redis
) -> None:
    for number in range(READERS):
        redis_cluster.set(f"key{number}", number)
    read = reader(storage.connect(cluster_engine.url))

    def work(number: int) -> list[bytes]:
        return [read(f"key{number}") for _ in range(20)]

    for number, answers in enumerate(together(READERS, work)):
        assert answers == [str(number).encode()] * 20


def test_an_error_of_one_key_is_not_its_neighbours(redis: Redis) -> None:
    redis.hset("key0", "field", "a hash, and no string")
    redis.mset({"key1": 1, "key2": 2})
    with gathered(Held(redis), 3) as (_, rest):
        assert isinstance(rest[0].exception(10), RedisError)
        assert [each.result(10) for each in rest[1:]] == [b"1", b"2"]


def test_a_redis_that_hangs_fails_every_reader_within_a_second_and_recovers(
    directory: Path,
) -> None:
    with EmbeddedRedis(directory / "hanging", durable=False) as engine:
        read = reader(storage.connect(engine.url))
        together(READERS, lambda n: read("key"))
        process = psutil.Process(engine.pid)
        process.suspend()
        try:
            started = time.monotonic()
            answers = together(READERS, lambda n: read("key"))
            took = time.monotonic() - started
        finally:
            process.resume()
        assert [type(answer) for answer in answers] == [SessionStoreUnavailable] * READERS
        assert took < 1.0
        assert together(READERS, lambda n: read("key")) == [None] * READERS


def test_a_reader_that_is_ended_while_it_leads_takes_nobody_along(redis: Redis) -> None:
    class Ended(BaseException):
        pass

    class Broken(Held):
        def execute_command(self, *command: str) -> Any:
            super().execute_command(*command)
            raise Ended

    redis.mset({f"key{n}": n for n in range(READERS)})
    with gathered(Broken(redis), READERS) as (first, rest):
        assert isinstance(first.exception(10), Ended)
        assert [each.result(10) for each in rest] == [str(n).encode() for n in range(READERS)]


def test_under_gevent_readers_that_are_ended_mix_up_nobody_else(
    redis_engine: EmbeddedRedis, redis: Redis
) -> None:
    command = [sys.executable, "-m", "tests.storage.greenlets", redis_engine.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
