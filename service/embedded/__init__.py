"""Real PostgreSQL and Redis as child processes on Unix sockets, for development and tests."""

from service.embedded.engine import Engine, EngineError
from service.embedded.postgres_engine import PostgresEngine
from service.embedded.redis_engine import RedisEngine

__all__ = ["Engine", "EngineError", "PostgresEngine", "RedisEngine"]
