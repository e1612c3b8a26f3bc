"""Free ports for the servers that tests and kits start. Imports nothing that must be installed."""

from __future__ import annotations

import random
import socket

HOST = "127.0.0.1"
CLUSTER_BUS = 10_000  # a node of a Redis Cluster also listens on its port plus this
# Below those that Linux gives to outgoing connections, of which some tests open a thousand: one of
# them would have the port before its server has started.
LOWEST, HIGHEST = 10_000, 32_767 - CLUSTER_BUS


def free_port() -> int:
    """A port that nobody listens on, neither there nor on its Redis Cluster bus port."""
    while True:
        port = random.randint(LOWEST, HIGHEST)
        try:
            with (
                socket.create_server((HOST, port)),
                socket.create_server((HOST, port + CLUSTER_BUS)),
            ):
                return port
        except OSError:
            continue
