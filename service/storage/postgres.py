"""The Postgres connection pool, which opens after the fork and limits its size and every wait."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import _WaitTimeout
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout, TooManyRequests

from service.errors import DatabaseUnavailable

CONNECT_TIMEOUT = 2  # seconds; libpq accepts no fractions and no less
CHECKOUT_TIMEOUT = 2.0
STATEMENT_TIMEOUT_MS = 5000
# A suspended server still acknowledges packets, so TCP does not notice that it hangs.
EXCHANGE_TIMEOUT = STATEMENT_TIMEOUT_MS / 1000 + 1
MAX_CONNECTIONS = 8

Connection = psycopg.Connection[TupleRow]


class BoundedConnection(psycopg.Connection[TupleRow]):
    """A connection that closes if the server does not answer in time."""

    def wait(
        self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = EXCHANGE_TIMEOUT
    ) -> Any:
        """Wait for the server, at most `timeout` seconds.

        Raises:
            psycopg.OperationalError: no answer in time. The connection is closed, so that a late
                answer is never mistaken for that of another statement.
        """
        try:
            return super().wait(gen, interval, timeout)
        except _WaitTimeout:
            self.pgconn.finish()
            raise psycopg.OperationalError("the server did not answer in time") from None


class Postgres:
    """Hands out connections from a pool that belongs to the calling process.

    A worker opens its pool with its first statement, after gunicorn has forked it. If two processes
    shared a socket, each could get the other's answers.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._pool: ConnectionPool[Connection] | None = None
        self._owner_pid: int | None = None

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection in autocommit mode: each statement is a transaction, in one round trip.

        Raises:
            DatabaseUnavailable: no connection is available, or it broke.
        """
        try:
            with self._own_pool().connection() as connection:
                yield connection
        except (PoolTimeout, TooManyRequests) as error:
            raise DatabaseUnavailable from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise DatabaseUnavailable(_may_have_happened(error)) from error

    def close(self) -> None:
        """Close every connection of this process."""
        if self._pool is not None and self._owner_pid == os.getpid():
            self._pool.close()
        self._pool = None

    def _own_pool(self) -> ConnectionPool[Connection]:
        if self._pool is None or self._owner_pid != os.getpid():
            with self._lock:
                if self._pool is None or self._owner_pid != os.getpid():
                    self._pool, self._owner_pid = self._open(), os.getpid()
        return self._pool

    def _open(self) -> ConnectionPool[Connection]:
        return ConnectionPool(
            make_conninfo(self._url, options=_with_time_outs(self._url)),
            connection_class=BoundedConnection,
            kwargs={
                "autocommit": True,
                "connect_timeout": CONNECT_TIMEOUT,
                "application_name": "coatcheck",
            },
            check=_check_if_suspect,
            min_size=1,
            max_size=MAX_CONNECTIONS,
            timeout=CHECKOUT_TIMEOUT,
            max_waiting=1000,
            reconnect_timeout=2,
            open=True,
        )


def reason_of(error: BaseException) -> str:
    """What an error of Postgres or Redis says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _check_if_suspect(connection: Connection) -> None:
    """Check a connection only if it has unexpected input, which usually means that the server is
    closing it. Most checkouts serve one statement, so a check each time would double the round
    trips.

    Raises:
        psycopg.OperationalError: the connection is broken; the pool replaces it.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        ConnectionPool.check_connection(connection)


def _may_have_happened(error: psycopg.Error) -> bool:
    """Whether the statement may have taken effect. An error from the server rules that out, except
    in class 57P: the server is shutting down, perhaps just after the commit."""
    return error.sqlstate is None or error.sqlstate.startswith("57P")


def _with_time_outs(url: str) -> str:
    """Connection options that make the server itself limit each statement, without a SET."""
    given = conninfo_to_dict(url).get("options") or ""
    bounds = ("statement_timeout", "idle_in_transaction_session_timeout")
    return " ".join([str(given), *(f"-c {name}={STATEMENT_TIMEOUT_MS}" for name in bounds)])
