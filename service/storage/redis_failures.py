"""What redis-py raises if Redis does not answer, or answers with an error."""

from __future__ import annotations

from typing import Final

from redis.exceptions import RedisClusterException, RedisError

REDIS_FAILURES: Final = (RedisError, RedisClusterException)  # two unrelated classes
