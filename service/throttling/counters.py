"""What one attempt is charged to.

An account is named by its canonical username, whether it exists or not: an unknown name is limited
like a known one. Keys contain only digests. All of them share one hash tag, because one script
changes several; a slot is enough, since logins are limited by hashing.
"""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from typing import NamedTuple

from service.throttling.networks import network_of
from service.throttling.table import Limited

PREFIX = "coatcheck:{throttle}:"
DIGEST_BYTES = 16


class Counter(NamedTuple):
    """How much of a limit somebody has used."""

    limit: Limited
    whose: tuple[str, ...]

    @property
    def key(self) -> str:
        """Its key in Redis."""
        whose = "\0".join(self.whose).encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(whose).digest()[:DIGEST_BYTES]
        return f"{PREFIX}{self.limit}:{b2a_base64(digest, newline=False).decode()}"


def by_network(limit: Limited, address: str) -> Counter:
    """A limit of the network to which an address belongs."""
    return Counter(limit, (network_of(address),))


def login(name: str, address: str) -> tuple[Counter, ...]:
    """A password for a name, from a device that its owner may never have used."""
    return (
        by_network(Limited.LOGIN, address),
        Counter(Limited.LOGIN_NETWORK, (name, network_of(address))),
        Counter(Limited.LOGIN_ACCOUNT, (name,)),
        Counter(Limited.LOGIN_FAILURES, (name,)),
    )


def login_on_known_device(name: str, device: str) -> tuple[Counter, ...]:
    """A password for a name, from a device on which its owner has signed in before."""
    return Counter(Limited.DEVICE, (name, device)), Counter(Limited.DEVICE_FAILURES, (name, device))


def confirmation(account_id: int, address: str) -> tuple[Counter, ...]:
    """A password from somebody who is signed in."""
    account = str(account_id)
    return (
        Counter(Limited.CONFIRMATION, (account, network_of(address))),
        Counter(Limited.CONFIRMATION_FAILURES, (account,)),
    )


def attempts_on(name: str, account_id: int) -> tuple[Counter, ...]:
    """What all strangers together have tried on an account."""
    return Counter(Limited.LOGIN_ACCOUNT, (name,)), *failures(name, account_id)


def failures(name: str, account_id: int) -> tuple[Counter, ...]:
    """What a right password clears: nobody's failures are in a row any longer."""
    return (
        Counter(Limited.LOGIN_FAILURES, (name,)),
        Counter(Limited.CONFIRMATION_FAILURES, (str(account_id),)),
    )
