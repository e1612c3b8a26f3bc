"""Every metric. All workers count into one directory, which gunicorn.conf.py chooses."""

from __future__ import annotations

import asyncio

from prometheus_client import Counter

HASHES = Counter("coatcheck_password_hashes", "Passwords hashed or verified.", ["kind"])
REGISTRATIONS = Counter("coatcheck_registrations", "Registrations, by outcome.", ["outcome"])
ACCOUNT_EVENTS = Counter(
    "coatcheck_account_events", "What happened to accounts, by event.", ["event"]
)
AUDIT_DELAYED = Counter(
    "coatcheck_audit_delayed_entries",
    "Entries of the audit trail that Postgres did not take at once, by what became of them.",
    ["outcome"],
)
SESSION_READS = Counter("coatcheck_session_reads", "Sessions looked for, by outcome.", ["outcome"])
SHED = Counter("coatcheck_shed_requests", "Requests rejected for lack of a free thread.", ["lane"])
THROTTLED = Counter(
    "coatcheck_throttled_requests", "Requests rejected because a limit was used up.", ["limit"]
)
UNTHROTTLED = Counter(
    "coatcheck_unthrottled_requests",
    "Requests to which no limit was applied, because Redis did not answer.",
)


class Tally:
    """Counts on the event loop, and passes the sum on once per turn of the loop: a counter that
    all workers share costs as much as reading a session."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._count = 0

    def count(self) -> None:
        """Count one."""
        self._count += 1
        if self._count == 1:
            asyncio.get_running_loop().call_soon(self._pass_on)

    def _pass_on(self) -> None:
        count, self._count = self._count, 0
        self._counter.inc(count)
