"""Whom an address belongs to, as far as limits are concerned."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address

UNKNOWN = "unknown"  # all clients without an address share it, such as those of a Unix socket
LONGEST = 64  # characters
# With a port, as some proxies send it: 192.0.2.1:80 or [2001:db8::1]:80. A zone (%eth0) is dropped.
SHAPE = re.compile(
    r"([0-9.]+)(?::\d+)?|([0-9a-f:.]+)(?:%[^\]]*)?|\[([0-9a-f:.]+)(?:%[^\]]*)?\](?::\d+)?",
    re.IGNORECASE | re.ASCII,
)
PREFIX = 64  # bits of an IPv6 address that one customer has at least (RFC 6177)


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """The IPv4 address, or the /64 of an IPv6 address; UNKNOWN if it is neither.

    An IPv6 address that contains an IPv4 address (RFC 4291, section 2.5.5.2) counts as that one.
    """
    found = SHAPE.fullmatch(address) if len(address) <= LONGEST else None
    if found is None:
        return UNKNOWN
    try:
        parsed = ip_address(found[1] or found[2] or found[3])
    except ValueError:
        return UNKNOWN
    if isinstance(parsed, IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped or IPv6Network((parsed.packed, PREFIX), strict=False))
    return str(parsed)
