"""What takes part in a race, and what a herd costs when nothing else goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import OutOfMemoryError

from kits.races.deployment import Site
from kits.races.history import Cost, History
from kits.races.proxies.proxy import Rule
from service.accounts.registration import RIVAL_TIMEOUT

HASHES = "coatcheck_password_hashes_total"
COUNTED_HERD = 40


class Missed(Exception):
    """What was to happen did not come about."""


@dataclass(frozen=True)
class Race:
    """A site of one's own, the load on it, and the record of both."""

    site: Site
    load: Any  # the Crowd of its form
    client: Any  # the Caller of its form
    history: History

    @contextmanager
    def ruled(self, rule: Rule) -> Iterator[None]:
        """Have a rule in force.

        Raises:
            Missed: it never struck.
        """
        number = self.site.proxies.arm(rule)
        try:
            yield
        finally:
            struck = self.site.proxies.ask("disarm", number)
        if not struck:
            raise Missed(f"nobody came to it: {rule.step or rule.engine}")

    def flush_redis(self) -> None:
        """Forget all that Redis knows."""
        with Redis.from_url(self.site.redis.url, protocol=2) as redis:
            redis.flushall()

    @contextmanager
    def redis_full(self) -> Iterator[None]:
        """Have Redis refuse whatever needs memory; what it holds can be read.

        Raises:
            Missed: it refuses nothing.
        """
        with Redis.from_url(self.site.redis.url, protocol=2) as redis:
            redis.config_set("maxmemory", 1)
            try:
                with suppress(OutOfMemoryError):
                    redis.set("anything", 1)
                    raise Missed("Redis still writes")
                yield
            finally:
                redis.config_set("maxmemory", 0)

    def counted_herd(self) -> None:
        """A herd on a new name, whose hashes and INSERTs are counted. Nothing else may go on.

        Raises:
            Missed: it took too long to count.
        """
        name = self.load.new_name()
        with self.counting(name, COUNTED_HERD) as seconds:
            seconds.append(self.load.herd(name, COUNTED_HERD, keyed=False))

    @contextmanager
    def counting(self, name: str, requests: int) -> Iterator[list[float]]:
        """Count what a herd costs that is started and ends within.

        Its duration is to be appended to the list. Past the time that an attempt waits for its
        rival it may cost more than one hash, and says nothing.

        Raises:
            Missed: it took too long to count.
        """
        before, seconds = self.client.metric(HASHES), list[float]()
        yield seconds
        after = self.client.metric(HASHES)
        if seconds[0] > RIVAL_TIMEOUT:
            raise Missed(f"too slow to be counted: {seconds[0]:.1f} s")
        hashes = None if before is None or after is None else after - before
        inserts = self.site.proxies.ask("inserted", name)
        self.history.cost(Cost(name, requests, hashes, inserts))
