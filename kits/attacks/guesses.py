"""A thousand wrong passwords for one account, all at the same moment, and then again."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator

from kits.attacks.deployment import Deployment, address
from kits.command import Say
from kits.counters import published_hashes
from kits.generators import one_after_another
from kits.report import responses
from kits.scheduled import Schedule
from kits.verdict import Verdict
from tests.visitors import Visitor

GUESSES, NETWORKS = 1000, 100
BURSTS = 5  # one alone could be limited by the time that hashes take
OF_ONE_NETWORK = 10  # guesses that a network has for an account, before it must wait
OF_AN_ACCOUNT = 100  # of all networks together: NIST SP 800-63B-4, 3.2.2
OWNER, HOME, ABROAD = "owner", 0xFFFF, 0xFFFE  # the owner's networks, which nobody attacks from
RIGHT = "the right password of its owner"  # every generated guess is another
PATIENCE = 20.0  # seconds within which the owner must be signed in

ONE_NETWORK = [address(1, host) for host in range(1, GUESSES + 1)]
MANY_NETWORKS = [address(network) for network in range(1, NETWORKS + 1)]


def guesses(deployment: Deployment, say: Say) -> Iterator[Verdict]:
    """Guess from one network, then from many."""
    yield from _burst(deployment, say, "one network", ONE_NETWORK, OF_ONE_NETWORK)
    yield from _burst(deployment, say, f"{NETWORKS} networks", MANY_NETWORKS, OF_AN_ACCOUNT)


def _burst(
    deployment: Deployment, say: Say, origin: str, addresses: list[str], limit: int
) -> Iterator[Verdict]:
    what = f"{BURSTS} bursts of {GUESSES} wrong passwords at once from {origin}"
    say(what)
    name = f"{OWNER}{len(addresses)}"
    with deployment.visitor(address(HOME)) as known:
        known.register(name, RIGHT)
        known.api("DELETE", "/sessions/current")
        spent = published_hashes(deployment.url, "verify")
        owner = _Owner(known, name)
        owner.start()
        burst = Schedule(
            deployment.url,
            [(0.0, name)] * GUESSES,
            barrier=True,
            path="/api/v1/sessions",
            addresses=addresses,
        )
        run = one_after_another([burst] * BURSTS)
        owner.stop()
        spent = published_hashes(deployment.url, "verify") - spent - owner.statuses[201]
        yield _within(what, limit, spent, run.statuses)
        again = _Owner(known, name)
        again.try_once()
    yield _gets_in(f"the owner's known device, during {what}", owner.statuses)
    yield _gets_in("the same, after them", again.statuses)
    if len(addresses) == GUESSES:
        with deployment.visitor(address(ABROAD)) as new:
            elsewhere = _Owner(new, name)
            elsewhere.try_once()
        yield _gets_in("the owner's new device on another network", elsewhere.statuses)


class _Owner(threading.Thread):
    """Signs in over and over, as somebody would who is told to try again."""

    def __init__(self, visitor: Visitor, name: str) -> None:
        super().__init__(daemon=True)
        self._visitor, self._name = visitor, name
        self._stopping = threading.Event()
        self.statuses: Counter[int] = Counter()

    def run(self) -> None:
        """See Thread."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and not (self.statuses[201] and self._stopping.is_set()):
            self.try_once()
            time.sleep(0.05)

    def try_once(self) -> None:
        """Sign in, and out again."""
        self.statuses[self._visitor.sign_in(self._name, RIGHT).status_code] += 1
        self._visitor.api("DELETE", "/sessions/current")

    def stop(self) -> None:
        """Wait until it was signed in, or until its patience has ended."""
        self._stopping.set()
        self.join(PATIENCE + 30)


def _within(what: str, limit: int, spent: int, statuses: Counter[int]) -> Verdict:
    checked = statuses[401]
    fine = spent <= limit and checked <= limit and not statuses[201]
    measured = f"{spent} hashes; {responses(statuses)}"
    return Verdict(what, f"≤ {limit} hashes and answers", measured, fine)


def _gets_in(who: str, statuses: Counter[int]) -> Verdict:
    fine = statuses[201] > 0 and not statuses[429]
    return Verdict(who, "signed in, and never 429", responses(statuses), fine)
