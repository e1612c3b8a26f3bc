"""Reads of one process that are in flight together travel as one pipeline.

While one batch is under way, the reads that come gather in the next. Whoever comes first sends the
batch for all that are in it. Nobody waits for company: alone, a read is sent at once.
"""
# mypy: allow-untyped-calls

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from threading import Event, Lock
from typing import Any

from redis import Redis, RedisCluster
from redis.exceptions import RedisClusterException, RedisError

LARGEST = 128  # reads in one pipeline

Command = tuple[str, str]  # name and key


class CoalescedReads:
    """Sends commands that read one key each. Whoever calls gives the call its time."""

    def __init__(
        self,
        redis: Redis | RedisCluster,
        observe: Callable[[Sequence[Any]], None] = lambda _: None,
    ) -> None:
        """
        Args:
            redis: where to read.
            observe: called once for each batch with its answers, exceptions among them; to count.
        """
        self._redis = redis
        self._observe = observe
        self._cluster = redis if isinstance(redis, RedisCluster) else None
        # A line for each server: a node of a Cluster that is down fails none but its own readers.
        self._lines: dict[str, _Line] = defaultdict(lambda: _Line(self._send, self._observe))

    def read(self, name: str, key: str) -> Any:
        """What Redis answers to the command `name` with `key` as its only argument.

        Raises:
            RedisError, RedisClusterException: it does not answer, or answers with an error.
        """
        return self._lines[self._server(key)].read((name, key))

    def _server(self, key: str) -> str:
        if self._cluster is None:
            return ""
        node = self._cluster.get_node_from_key(key)
        return str(node.name) if node else ""

    def _send(self, commands: Sequence[Command]) -> list[Any]:
        if len(commands) == 1:  # at half the price of a pipeline
            return [self._redis.execute_command(*commands[0])]
        pipeline = self._redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return pipeline.execute(raise_on_error=False)


class _Batch:
    """Reads that travel together. `answers` are there once it is `done`."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.answers: Sequence[Any] = ()
        self.done = Event()


class _Line:
    """The reads for one server: one batch under way, one that gathers."""

    def __init__(
        self,
        send: Callable[[Sequence[Command]], list[Any]],
        observe: Callable[[Sequence[Any]], None],
    ) -> None:
        self._send = send
        self._observe = observe
        self._sending = Lock()
        self._lock = Lock()
        self._gathering = _Batch()

    def read(self, command: Command) -> Any:
        with self._lock:
            batch = self._gathering
            place = len(batch.commands)
            batch.commands.append(command)
            if place == LARGEST - 1:
                self._gathering = _Batch()
        if place == 0:
            self._lead(batch)
        else:
            batch.done.wait()  # no longer than the time of its leader, who came earlier
        answer = batch.answers[place]
        if isinstance(answer, Exception):
            # One of its own for each: an exception that several raise mixes their tracebacks.
            raise RedisError("The pipeline of this read failed") from answer
        return answer

    def _lead(self, batch: _Batch) -> None:
        answers: Sequence[Any] = [RedisError("It was ended under way")] * LARGEST
        try:
            with self._sending:
                time.sleep(0)  # those who are about to read come along
                self._close(batch)
                answers = self._send(batch.commands)
        except (RedisError, RedisClusterException) as error:
            answers = [error] * LARGEST
        finally:
            self._close(batch)
            batch.answers = answers
            batch.done.set()
            self._observe(answers[: len(batch.commands)])

    def _close(self, batch: _Batch) -> None:
        with self._lock:
            if self._gathering is batch:
                self._gathering = _Batch()
