"""Every limit of the service: what it limits, what it counts by, and how much it allows.

“10 per 5 minutes” allows ten attempts at once and, as time passes, one more for each tenth of the
five minutes. Networks are IPv4 addresses and IPv6 /64s. django-allauth's published figures were
the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from limits import RateLimitItem, parse


class Limited(StrEnum):
    """What is limited. The values are in keys, metrics and headers."""

    LOGIN = "login"
    LOGIN_NETWORK = "login-network"
    LOGIN_ACCOUNT = "login-account"
    LOGIN_FAILURES = "login-failures"
    DEVICE = "device"
    DEVICE_FAILURES = "device-failures"
    CONFIRMATION = "confirmation"
    CONFIRMATION_FAILURES = "confirmation-failures"
    ACCOUNT_CHANGE = "account-change"
    REGISTRATION = "registration"
    AVAILABILITY = "availability"
    ANONYMOUS_SESSION = "anonymous-session"


Table = Mapping[Limited, RateLimitItem]

TABLE: Final[Table] = {
    # Passwords, by network: whoever tries many names.
    Limited.LOGIN: parse("30 per minute"),
    # By account and network: whoever tries many passwords. One network cannot use up what another
    # one has.
    Limited.LOGIN_NETWORK: parse("10 per 5 minutes"),
    # By account: whoever has many networks.
    Limited.LOGIN_ACCOUNT: parse("50 per hour"),
    # By account and device on which its owner has signed in before. Replaces the limits above, so
    # nobody else can use it up.
    Limited.DEVICE: parse("20 per 5 minutes"),
    # By account and network, for somebody who is signed in and must confirm the password.
    Limited.CONFIRMATION: parse("10 per 5 minutes"),
    # By account and network, for somebody who is signed in and changes the account or ends other
    # sessions, right or wrong: each leaves rows in Postgres.
    Limited.ACCOUNT_CHANGE: parse("30 per 5 minutes"),
    # Failures in a row, by account; and by account and device. See LOCKS. A failure is forgotten
    # after a day, one after the other, so that invented names do not fill Redis.
    Limited.LOGIN_FAILURES: parse("100 per 100 days"),
    Limited.DEVICE_FAILURES: parse("100 per 100 days"),
    Limited.CONFIRMATION_FAILURES: parse("100 per 100 days"),
    # By network. These tell which names exist, or cost memory.
    Limited.REGISTRATION: parse("200 per hour"),
    Limited.AVAILABILITY: parse("60 per minute"),
    Limited.ANONYMOUS_SESSION: parse("30 per minute"),
}

# A worker remembers for a moment which networks have used these up.
BY_NETWORK: Final = frozenset(
    {Limited.LOGIN, Limited.REGISTRATION, Limited.AVAILABILITY, Limited.ANONYMOUS_SESSION}
)
# A right password does not give these back: otherwise one account could keep every core busy with
# hashing.
NOT_RETURNED: Final = frozenset({Limited.LOGIN, Limited.DEVICE})
# Once used up, these stay used up until a right password or an operator clears them (NIST SP
# 800-63B-4, section 3.2.2: at most 100 consecutive failures).
LOCKS: Final = frozenset(
    {Limited.LOGIN_FAILURES, Limited.DEVICE_FAILURES, Limited.CONFIRMATION_FAILURES}
)
LOCKED_FOR: Final = 365 * 86400  # seconds
