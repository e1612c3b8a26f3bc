"""Reads of one process that are in flight together travel as one pipeline.

Of all who want to read from one server, one leads: it sends what has gathered, hands out the
answers, and the first of those who came meanwhile leads next. Nobody waits for company: alone, a
read is sent at once.
"""
# mypy: allow-untyped-calls

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

from redis import Redis, RedisCluster
from redis.exceptions import RedisClusterException, RedisError

LARGEST = 128  # reads in one pipeline

Command = tuple[str, str]  # name and key


class CoalescedReads:
    """Sends commands that read one key each. Whoever calls gives the call its time."""

    def __init__(self, redis: Redis | RedisCluster) -> None:
        self._redis = redis
        self._cluster = redis if isinstance(redis, RedisCluster) else None
        # A line for each server: a node of a Cluster that is down fails none but its own readers.
        self._lines: dict[str, _Line] = defaultdict(lambda: _Line(self._send))

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


class _Read:
    """One read: `leads` while it is up to its caller to send, `sent` once it is on its way."""

    __slots__ = ("_called", "answer", "command", "leads", "sent")

    def __init__(self, command: Command) -> None:
        self.command = command
        self.leads = self.sent = False
        self.answer: Any = None
        self._called = Lock()
        self._called.acquire()

    def wait(self) -> None:
        """Until it is called, to lead or to take its answer. Those who lead before it came before
        it, and so their time is up before its own is: it needs no clock."""
        self._called.acquire()

    def call(self) -> None:
        self._called.release()


class _Line:
    """Those who want to read from one server, in the order in which they came."""

    def __init__(self, send: Callable[[Sequence[Command]], list[Any]]) -> None:
        self._send = send
        self._lock = Lock()
        self._waiting: list[_Read] = []
        self._has_leader = False

    def read(self, command: Command) -> Any:
        mine = _Read(command)
        with self._lock:
            self._waiting.append(mine)
            if not self._has_leader:
                self._has_leader = mine.leads = True
        try:
            if not mine.leads:
                mine.wait()
            if mine.leads:
                self._lead()
        finally:
            self._leave(mine)
        if isinstance(mine.answer, Exception):
            # One of its own for each: an exception that several raise mixes their tracebacks.
            raise RedisError("The pipeline of this read failed") from mine.answer
        return mine.answer

    def _lead(self) -> None:
        time.sleep(0)  # those who are about to read come along
        with self._lock:
            batch, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
            for read in batch:
                read.sent = True
        answers: list[Any] = [RedisError("It was ended under way")] * len(batch)
        try:
            answers = self._send([read.command for read in batch])
        except (RedisError, RedisClusterException) as error:
            answers = [error] * len(batch)
        finally:
            for read, answer in zip(batch, answers, strict=True):
                read.answer = answer
                if not read.leads:
                    read.call()

    def _leave(self, mine: _Read) -> None:
        with self._lock:
            if not mine.sent:
                self._waiting.remove(mine)
            if mine.leads:
                self._has_leader = bool(self._waiting)
                for following in self._waiting[:1]:
                    following.leads = True
                    following.call()
