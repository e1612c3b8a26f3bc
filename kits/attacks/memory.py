"""How much of Redis one address can take in a minute, without an account."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import httpx

from kits.attacks.deployment import MOST_DATA, Deployment, address
from kits.command import Say
from kits.generators import LOST
from kits.report import responses
from kits.verdict import Verdict
from tests.visitors import Visitor, visitor

SECONDS, PAUSE = 60.0, 0.5
# Bytes. A limit of n a minute lets 2 n through in a minute that follows a quiet one: 60 anonymous
# sessions of 5 KiB, 120 registrations that leave a session, a list of one and a name, of 1.5 KiB
# together, and counters of 60 logins.
PER_MINUTE = 512 << 10
HERE = address(1)
SAMPLES = 0  # of MEMORY USAGE: all elements
LONG = "x" * 500


def memory(
    deployment: Deployment, say: Say, seconds: float = SECONDS, most: int = PER_MINUTE
) -> Iterator[Verdict]:
    """Send everything that needs no account from one address, as fast as it goes."""
    say(f"Every anonymous request from one address for {seconds:.0f} s")
    before = _used(deployment).total()
    attackers = [_Attacker(deployment.url, kind, seconds) for kind in KINDS]
    for attacker in attackers:
        attacker.start()
    used = _used(deployment)
    while any(attacker.is_alive() for attacker in attackers):
        used = max(used, _used(deployment), key=Counter.total)
        time.sleep(PAUSE)
    taken = used.total() - before
    statuses = sum((attacker.statuses for attacker in attackers), Counter[int]())
    parts = ", ".join(f"{kind} {size / 1024:.0f}" for kind, size in used.most_common())
    measured = f"{taken / 1024:.0f} KiB ({parts}); {responses(statuses)}"
    what = f"Redis memory that one address takes in {seconds:.0f} s without an account"
    yield Verdict(what, f"≤ {most / 1024:.0f} KiB", measured, taken <= most)


def _used(deployment: Deployment) -> Counter[str]:
    """The bytes of all keys, by what they are for."""
    keys = list(deployment.redis.scan_iter(count=1000))
    with deployment.redis.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.memory_usage(key, samples=SAMPLES)
        sizes = pipeline.execute()
    used: Counter[str] = Counter()
    for key, size in zip(keys, sizes, strict=True):
        used[_kind(key.decode())] += size or 0  # none: it has expired meanwhile
    return used


def _kind(key: str) -> str:
    """What a key is for: its parts that are words."""
    words = [part for part in key.split(":") if part.isalpha() and len(part) < 20]
    return " ".join(words[:3])


def _write_new_data(someone: Visitor, n: int) -> int:
    with visitor(someone.url, HERE) as new:
        return new.api("PATCH", "/sessions/current/data", MOST_DATA).status_code


def _write_data_again(someone: Visitor, n: int) -> int:
    return someone.api("PATCH", "/sessions/current/data", {f"key{n}": "y" * 240}).status_code


def _ask_for_names(someone: Visitor, n: int) -> int:
    return someone.api("GET", f"/usernames/free{n}").status_code


def _register(someone: Visitor, n: int) -> int:
    with visitor(someone.url, HERE) as new:
        return new.register(f"memory{n}", User_Agent=LONG).status_code


def _guess_at_new_names(someone: Visitor, n: int) -> int:
    return someone.sign_in(f"nobody{n}").status_code


def _show_pages(someone: Visitor, n: int) -> int:
    return someone.request(
        "GET", "/register", headers={"Cookie": "session=" + "x" * 55}
    ).status_code


KINDS: tuple[Callable[[Visitor, int], int], ...] = (
    _write_new_data,
    _write_data_again,
    _ask_for_names,
    _register,
    _guess_at_new_names,
    _show_pages,
)


class _Attacker(threading.Thread):
    """Sends one kind of request after another."""

    def __init__(self, url: str, kind: Callable[[Visitor, int], int], seconds: float) -> None:
        super().__init__(daemon=True)
        self._url, self._send, self._seconds = url, kind, seconds
        self.statuses: Counter[int] = Counter()

    def run(self) -> None:
        """See Thread."""
        end = time.monotonic() + self._seconds
        with visitor(self._url, HERE) as someone:
            for n in itertools.count():
                if time.monotonic() > end:
                    return
                try:
                    self.statuses[self._send(someone, n)] += 1
                except httpx.TransportError:
                    self.statuses[LOST] += 1
