"""The parts of a race, and what a herd costs while nothing else runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import OutOfMemoryError

from kits.races.deployment import Deployment
from kits.races.history import Cost, History
from kits.races.proxy.rule import Rule
from service.registration.names import RIVAL_TIMEOUT

HASHES = "coatcheck_password_hashes_total"
COUNTED_HERD = 40


class Missed(Exception):
    """A fault or a measurement did not happen; the message says why."""


@dataclass(frozen=True)
class Race:
    """A deployment of the kit's own, the load on it, and the history of both."""

    deployment: Deployment
    load: Any  # the Load of the workload
    client: Any  # the HttpClient of the workload
    history: History

    @contextmanager
    def rule_in_force(self, rule: Rule) -> Iterator[None]:
        """Apply a rule inside the block.

        Raises:
            Missed: nothing has hit it.
        """
        number = self.deployment.proxy.add_rule(rule)
        try:
            yield
        finally:
            hits = self.deployment.proxy.call("remove_rule", number)
        if not hits:
            raise Missed(f"nothing reached the step: {rule.step or rule.engine}")

    def flush_redis(self) -> None:
        """Make Redis forget everything."""
        with Redis.from_url(self.deployment.redis.url, protocol=2) as redis:
            redis.flushall()

    @contextmanager
    def redis_full(self) -> Iterator[None]:
        """Make Redis reject every write that needs memory; reads still work.

        Raises:
            Missed: Redis still writes.
        """
        with Redis.from_url(self.deployment.redis.url, protocol=2) as redis:
            redis.config_set("maxmemory", 1)
            try:
                with suppress(OutOfMemoryError):
                    redis.set("anything", 1)
                    raise Missed("Redis still writes")
                yield
            finally:
                redis.config_set("maxmemory", 0)

    def counted_herd(self) -> None:
        """Count the hashes and INSERTs of a herd on a new name; needs an otherwise idle deployment.

        Raises:
            Missed: the herd took too long to be counted.
        """
        name = self.load.new_name()
        with self.counting(name, COUNTED_HERD) as seconds:
            seconds.append(self.load.herd(name, COUNTED_HERD, keyed=False))

    @contextmanager
    def counting(self, name: str, requests: int) -> Iterator[list[float]]:
        """Count what a herd costs that starts and ends inside the block.

        The block appends the herd's duration to the list. If it exceeds the time for which an
        attempt waits for its rival, more than one hash is allowed, and the count means nothing.

        Raises:
            Missed: the herd took too long to be counted.
        """
        before, seconds = self.client.metric(HASHES), list[float]()
        yield seconds
        after = self.client.metric(HASHES)
        if seconds[0] > RIVAL_TIMEOUT:
            raise Missed(f"too slow to be counted: {seconds[0]:.1f} s")
        hashes = None if before is None or after is None else after - before
        inserts = self.deployment.proxy.call("inserted", name)
        self.history.cost(Cost(name, requests, hashes, inserts))
