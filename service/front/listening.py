"""What must be true before gunicorn listens."""

from __future__ import annotations

import os
import socket
from typing import Any


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
