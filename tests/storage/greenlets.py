"""Readers under gevent, of whom some are ended while they lead.

`python -m tests.storage.greenlets URL` prints how many reads were answered, and exits with 1 if one
of them got another's answer or none.
"""

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402
import time  # noqa: E402
from contextlib import suppress  # noqa: E402

import gevent  # noqa: E402

from service.errors import SessionStoreUnavailable  # noqa: E402
from service.storage import redis  # noqa: E402
from service.storage.coalesced import CoalescedReads  # noqa: E402

READERS, SECONDS = 50, 2.0


def main(url: str) -> int:
    """The exit status."""
    client = redis.connect(url)
    client.mset({f"key{n}": n for n in range(READERS)})
    reads = CoalescedReads(client)
    finish = time.monotonic() + SECONDS
    answered = 0

    def read(number: int) -> None:
        nonlocal answered
        with redis.failing_as(SessionStoreUnavailable):
            answer = reads.read("GET", f"key{number}")
        assert answer == str(number).encode(), (number, answer)
        answered += 1

    def visitor(number: int) -> None:
        while time.monotonic() < finish:
            with suppress(SessionStoreUnavailable):  # travelled with one that was ended
                read(number)

    def victim() -> None:
        while True:
            read(0)

    visitors = [gevent.spawn(visitor, number) for number in range(READERS)]
    ended = 0
    while time.monotonic() < finish:
        greenlet = gevent.spawn(victim)
        gevent.sleep(0.001)
        greenlet.kill()
        ended += 1
    gevent.joinall(visitors, timeout=5, raise_error=True)
    print(f"{answered} reads answered, {ended} readers ended under way")
    return 0 if all(greenlet.successful() for greenlet in visitors) and answered > READERS else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
