"""Whom an address belongs to, as far as limits are concerned."""

from __future__ import annotations

import re
import socket
from functools import lru_cache

UNKNOWN = "unknown"  # all clients without an address share it, such as those of a Unix socket
LONGEST = 64  # characters
# With a port or a zone, as some proxies send it: 192.0.2.1:80, [2001:db8::1]:80, fe80::1%eth0.
ADORNED = re.compile(
    r"(?P<v4>[0-9.]+):\d+|\[(?P<v6>[0-9a-f:.]+)(?:%[^\]]*)?\](?::\d+)?|(?P<zoned>[0-9a-f:.]+)%.*",
    re.IGNORECASE | re.ASCII,
)
PREFIX = 8  # bytes of an IPv6 address: a customer has a /64 at least (RFC 6177)
MAPPED = bytes(10) + b"\xff\xff"  # before an IPv4 address (RFC 4291, section 2.5.5.2)


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """The IPv4 address, or the /64 of an IPv6 address; UNKNOWN if it is neither.

    An IPv6 address that contains an IPv4 address counts as that one.
    """
    if len(address) > LONGEST:
        return UNKNOWN
    if adorned := ADORNED.fullmatch(address):
        address = adorned[adorned.lastgroup or 0]
    try:
        return socket.inet_ntop(socket.AF_INET, socket.inet_pton(socket.AF_INET, address))
    except (OSError, ValueError):
        pass
    try:
        packed = socket.inet_pton(socket.AF_INET6, address)
    except (OSError, ValueError):
        return UNKNOWN
    if packed.startswith(MAPPED):
        return socket.inet_ntop(socket.AF_INET, packed[len(MAPPED) :])
    network = packed[:PREFIX] + bytes(16 - PREFIX)
    return f"{socket.inet_ntop(socket.AF_INET6, network)}/{8 * PREFIX}"
