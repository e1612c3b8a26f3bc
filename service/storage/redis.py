"""Redis clients whose waits add up to less than a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError
from redis.retry import Retry

from service.errors import Unavailable

CONNECT_TIMEOUT = 0.25  # seconds, as all of these
ANSWER_TIMEOUT = 0.4
CHECKOUT_TIMEOUT = 0.25
MAX_CONNECTIONS = 64


def connect(url: str) -> Redis:
    """A client for `url`; it connects when first used.

    One retry, and only of a broken connection: that is what a pooled connection looks like
    after Redis was restarted. A time-out is not retried, or two waits would pass for one.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=CHECKOUT_TIMEOUT,
        socket_timeout=ANSWER_TIMEOUT,
        socket_connect_timeout=CONNECT_TIMEOUT,
        retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
        protocol=2,
    )
    return Redis.from_pool(pool)


@contextmanager
def failing_as(unavailable: Callable[[], Unavailable]) -> Iterator[None]:
    """Turn whatever Redis or the way to it does wrong into one error of the domain."""
    try:
        yield
    except RedisError as error:
        raise unavailable() from error
