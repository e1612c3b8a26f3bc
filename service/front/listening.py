"""What must be true before gunicorn listens."""

from __future__ import annotations

import logging
import os
import socket
from typing import Any

from service.errors import EvictionUnknown
from service.storage import redis


def name_addresses(arbiter: Any) -> None:
    """Have gunicorn's line "Listening at" name the addresses: with a socket for each worker, its
    master has none to name."""
    addresses = ", ".join(
        f"http://{each[0]}:{each[1]}" if isinstance(each, tuple) else str(each)
        for each in arbiter.cfg.address
    )

    def named(record: logging.LogRecord) -> bool:
        if record.msg == "Listening at: %s (%s)" and isinstance(record.args, tuple):
            record.args = (record.args[0] or addresses, *record.args[1:])
        return True

    arbiter.log.error_log.addFilter(named)


def require_free_addresses(arbiter: Any) -> None:
    """Stop a second service on the same address: with a socket for each worker (`reuse_port`), the
    kernel would share the connections between both without a word.

    Args:
        arbiter: gunicorn's, before it starts.

    Raises:
        RuntimeError: another program listens on an address; gunicorn shows the message and ends.
    """
    if "GUNICORN_PID" in os.environ:  # an upgrade: the old master still listens
        return
    for address in arbiter.cfg.address:
        if not isinstance(address, tuple):  # a Unix socket
            continue
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                reason = f"{address[0]}:{address[1]}: {error.strerror}"
                raise RuntimeError(f"Cannot listen on {reason}") from error


def require_a_store_that_keeps_sessions(redis_url: str) -> None:
    """Stop a start with a Redis that deletes sessions when it is full. If it does not answer, or
    does not say so, the service starts all the same: it must be able to start before its Redis.

    Args:
        redis_url: of the Redis that holds the sessions.

    Raises:
        RuntimeError: it evicts; gunicorn shows the message and ends.
    """
    client = redis.connect(redis_url)
    try:
        evicting = redis.evicting_policies(client)
    except EvictionUnknown:
        return
    finally:
        client.close()
    if evicting:
        raise RuntimeError(redis.eviction_sentence(evicting))


def require_a_store_for_us_alone(redis_url: str) -> None:
    """Stop a start with a Redis that serves whoever connects.

    Args:
        redis_url: of the Redis that holds the sessions.

    Raises:
        RuntimeError: it does; gunicorn shows the message and ends.
    """
    if redis.serves_strangers(redis_url):
        raise RuntimeError(redis.STRANGERS)
