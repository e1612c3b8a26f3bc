"""Real PostgreSQL and Redis as child processes on Unix sockets, for development and tests."""

from service.embedded.engine import Engine, EngineError
from service.embedded.postgres import Postgres
from service.embedded.redis import Redis

__all__ = ["Engine", "EngineError", "Postgres", "Redis"]
