"""A thousand wrong passwords for one account, all at the same moment, and then again."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from kits.attacks.deployment import Deployment, address
from kits.command import Say
from kits.counters import published_hashes
from kits.generators import Run, one_after_another
from kits.report import TIMES, responses
from kits.scheduled import Schedule
from kits.verdict import Verdict
from tests.visitors import Visitor

GUESSES = 1000
BURSTS = 5  # one alone could be limited by the time that hashes take
RIGHT = "the right password of its owner"  # every generated guess is another
HOME, ABROAD = address(0xFFFF), address(0xFFFE)  # where the owner is, and no attacker
PATIENCE = 20.0  # seconds after the attack within which the owner must be signed in
PAUSE = 0.25  # seconds between the owner's attempts
MOST = 15  # of them: even a known device may sign in 20 times in five minutes only


@dataclass(frozen=True)
class Crowd:
    """Attackers with addresses, and how many guesses at one account they may have."""

    origin: str
    addresses: list[str]
    limit: int

    @property
    def name(self) -> str:
        """The account that they attack."""
        return f"victim-of-{len(self.addresses)}"


# What a proxy passes on: the address that the client invents, and the one that the proxy adds.
ONE_NETWORK = [f"{address(host)}, {address(1, host)}" for host in range(1, GUESSES + 1)]
CROWDS = (
    Crowd("one network", ONE_NETWORK, 10),
    Crowd("100 networks", [address(network) for network in range(1, 101)], 50),
)


def guesses(deployment: Deployment, say: Say, bursts: int = BURSTS) -> Iterator[Verdict]:
    """Let both crowds attack an account, each one of its own."""
    for crowd in CROWDS:
        what = f"{bursts} {TIMES} {GUESSES} wrong passwords at once from {crowd.origin}"
        say(what)
        with deployment.visitor(HOME) as known, deployment.visitor(ABROAD) as new:
            known.register(crowd.name, RIGHT)
            known.api("DELETE", "/sessions/current")
            owner = Owner(known, crowd.name)
            before = published_hashes(deployment.url, "verify")
            owner.start()
            run = _attack(deployment, crowd, bursts)
            owner.stop()
            spent = published_hashes(deployment.url, "verify") - before - owner.statuses[201]
            yield _within(what, crowd.limit, spent, run)
            yield _gets_in(f"the owner's known device during {what}", owner.statuses)
            yield _gets_in("the same afterwards", Owner(known, crowd.name).once())
            if crowd is CROWDS[0]:  # many networks may use up what an account has for all of them
                yield _gets_in("a new device of the owner", Owner(new, crowd.name).once())


def _attack(deployment: Deployment, crowd: Crowd, bursts: int) -> Run:
    requests = [(0.0, crowd.name)] * GUESSES
    path = "/api/v1/sessions"
    burst = Schedule(deployment.url, requests, barrier=True, path=path, addresses=crowd.addresses)
    return one_after_another([burst] * bursts)


class Owner(threading.Thread):
    """Signs in over and over, as somebody does who is told to try again.

    Attributes:
        statuses: how often each was received.
    """

    def __init__(self, visitor: Visitor, name: str) -> None:
        super().__init__(daemon=True)
        self._visitor, self._name = visitor, name
        self._stopping = threading.Event()
        self.statuses: Counter[int] = Counter()

    def run(self) -> None:
        """See Thread."""
        while not self._stopping.wait(PAUSE):
            if self.statuses.total() < MOST:
                self.once()
        deadline = time.monotonic() + PATIENCE
        while not self.statuses[201] and time.monotonic() < deadline:
            self.once()
            time.sleep(PAUSE)

    def once(self) -> Counter[int]:
        """Sign in, and out again."""
        self.statuses[self._visitor.sign_in(self._name, RIGHT).status_code] += 1
        self._visitor.api("DELETE", "/sessions/current")
        return self.statuses

    def stop(self) -> None:
        """Wait until it was signed in, or until its patience has ended."""
        self._stopping.set()
        self.join()


def _within(what: str, limit: int, spent: int, run: Run) -> Verdict:
    fine = spent <= limit and run.statuses[401] <= limit and not run.statuses[201]
    measured = f"{spent} hashes; {responses(run.statuses)}"
    return Verdict(what, f"≤ {limit} hashes, ≤ {limit} {TIMES} 401", measured, fine)


def _gets_in(who: str, statuses: Counter[int]) -> Verdict:
    fine = statuses[201] > 0 and not statuses[429]
    return Verdict(who, "201, and never 429", responses(statuses), fine)
