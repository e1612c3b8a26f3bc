"""The buckets that one attempt is charged to.

An account is named by its canonical username, whether it exists or not: an unknown name is limited
like a known one. Keys contain only digests. All of them share one hash tag, because one script
changes several; a slot is enough, since logins are limited by hashing.
"""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from collections.abc import Iterable
from typing import NamedTuple

from service.throttling.networks import network_of
from service.throttling.table import Limited

PREFIX = "coatcheck:{throttle}:"
DIGEST_BYTES = 16


class Bucket(NamedTuple):
    """How much of a limit somebody has used."""

    limit: Limited
    whose: tuple[str, ...]

    @property
    def key(self) -> str:
        """Its key in Redis."""
        whose = "\0".join(self.whose).encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(whose).digest()[:DIGEST_BYTES]
        return f"{PREFIX}{self.limit}:{b2a_base64(digest, newline=False).decode()}"


def by_network(limit: Limited, address: str) -> Bucket:
    """A limit of the network to which an address belongs."""
    return Bucket(limit, (network_of(address),))


def login(name: str, address: str) -> tuple[Bucket, ...]:
    """A password for a name, from a device that its owner may never have used."""
    return (
        by_network(Limited.LOGIN, address),
        Bucket(Limited.LOGIN_NETWORK, (name, network_of(address))),
        Bucket(Limited.LOGIN_ACCOUNT, (name,)),
        Bucket(Limited.LOGIN_FAILURES, (name,)),
    )


def login_on_known_device(name: str, device: str) -> tuple[Bucket, ...]:
    """A password for a name, from a device on which its owner has signed in before."""
    return Bucket(Limited.DEVICE, (name, device)), Bucket(Limited.DEVICE_FAILURES, (name, device))


def confirmation(account_id: int, address: str) -> tuple[Bucket, ...]:
    """A password from somebody who is signed in."""
    account = str(account_id)
    return (
        Bucket(Limited.CONFIRMATION, (account, network_of(address))),
        Bucket(Limited.CONFIRMATION_FAILURES, (account,)),
    )


def account_change(account_id: int, address: str) -> Bucket:
    """A change of an account by somebody who is signed in to it."""
    return Bucket(Limited.ACCOUNT_CHANGE, (str(account_id), network_of(address)))


def failures_on_new_devices(name: str) -> Bucket:
    """Failures in a row, wherever they come from, except on known devices."""
    return Bucket(Limited.LOGIN_FAILURES, (name,))


def attempts_on(name: str, account_id: int, devices: Iterable[str]) -> tuple[Bucket, ...]:
    """What blocks an account: what strangers have tried, and failures, also on its known devices.
    What an attempt costs a network or a device for minutes is not among them."""
    return Bucket(Limited.LOGIN_ACCOUNT, (name,)), *failures(name, account_id, devices)


def failures(name: str, account_id: int, devices: Iterable[str] = ()) -> tuple[Bucket, ...]:
    """What a right password clears: nobody's failures are in a row any longer.

    Args:
        name: the canonical username.
        account_id: of the account.
        devices: those known devices whose failures are cleared, too.
    """
    return (
        failures_on_new_devices(name),
        Bucket(Limited.CONFIRMATION_FAILURES, (str(account_id),)),
        *(Bucket(Limited.DEVICE_FAILURES, (name, device)) for device in devices),
    )
