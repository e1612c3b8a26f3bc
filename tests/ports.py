"""Free ports for the servers that tests and kits start. Imports nothing that must be installed."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"
CLUSTER_BUS = 10_000  # a node of a Redis Cluster also listens on its port plus this
HIGHEST = 65_535


def free_port() -> int:
    """A port that nobody listens on, neither there nor on its Redis Cluster bus port."""
    while True:
        with socket.create_server((HOST, 0)) as listener:
            port = int(listener.getsockname()[1])
        if port + CLUSTER_BUS > HIGHEST:
            port -= 2 * CLUSTER_BUS
        try:
            with (
                socket.create_server((HOST, port)),
                socket.create_server((HOST, port + CLUSTER_BUS)),
            ):
                return port
        except OSError:
            continue
