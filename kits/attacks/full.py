"""A Redis that strangers have filled: every session can still be ended."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import httpx

from kits.attacks.deployment import MOST_DATA, Deployment, address
from kits.attacks.guesses import CROWDS
from kits.attacks.revocations import TRIALS, Person, Way
from kits.command import Say
from kits.report import TIMES, responses
from kits.verdict import Verdict
from tests.conditions import eventually
from tests.servers import NO_TLS
from tests.visitors import visitor

ROOM = 4 << 20  # bytes that strangers may fill
WRITERS, ENOUGH = 4, 20  # refusals in a row, after which a writer takes Redis for full
PATIENCE = 120.0  # seconds until Redis must be full
ASKED = 10  # times for each ended session, so that every worker is asked
READS = 25  # of each path
PATHS = ("/api/v1/sessions/current", "/auth/verify", "/api/v1/sessions", "/account")
ALLOWED = CROWDS[0].limit  # guesses
GUESSERS, WRONG = address(0xFFFF), "a battery and no horse"
STRANGERS = itertools.count(0x10000)  # networks


def full(deployment: Deployment, say: Say) -> Iterator[Verdict]:
    """Fill Redis, end sessions in every way while strangers keep it full, and empty it again."""
    with ExitStack() as stack:
        people = [
            _settled(deployment, stack, n, sessions)
            for n, sessions in enumerate((2, *(sessions for _, sessions in TRIALS)))
        ]
        bystander, *others = people
        before = [person.sessions() for person in others]
        say("Strangers fill Redis")
        used = deployment.redis.info("memory")["used_memory"]
        deployment.redis.config_set("maxmemory", used + ROOM)
        ended: list[str] = []
        with _writing(deployment) as writers:
            say("Redis is full")
            for (way, _), person, sessions in zip(TRIALS, others, before, strict=True):
                _await_full(writers)
                yield ends(deployment, way, person, sessions)
                ended += way.ended(sessions)
            yield _serves(bystander)
            yield _limits(deployment, bystander.name)
            yield _refuses(writers)
        deployment.redis.config_set("maxmemory", 0)
    say("Redis has room again")
    found = _asked(deployment, ended)
    what = f"{len(ended)} sessions that were ended while Redis was full, with room again"
    yield Verdict(what, "401 only", responses(found), set(found) == {401})


def _settled(deployment: Deployment, stack: ExitStack, n: int, sessions: int) -> Person:
    laptop, phone = (
        stack.enter_context(deployment.visitor(address(n + 1, host))) for host in (1, 2)
    )
    person = Person(f"person{n}", laptop, phone)
    person.settle(sessions)
    return person


def ends(
    deployment: Deployment, way: Way, person: Person, before: tuple[str | None, str | None]
) -> Verdict:
    """Judge one way on one account, whose sessions were `before`."""
    got = way.act(deployment, person)
    found = _asked(deployment, way.ended(before))
    fine = got == way.succeeds and set(found) <= {401}
    fine = fine and person.laptop.is_signed_in() is not way.signs_laptop_out
    measured = f"{got}; what it ends: {responses(found) or 'nothing'}"
    what = f"{way.title}, of {sum(map(bool, before))} sessions, with Redis full"
    return Verdict(what, f"{way.succeeds}, then 401", measured, fine)


def _asked(deployment: Deployment, sessions: Sequence[str]) -> Counter[int]:
    """What ended sessions are answered, each time on a new connection."""
    statuses: Counter[int] = Counter()
    for session in sessions * ASKED:
        with visitor(deployment.url, address(1)) as thief:
            headers = {"Cookie": f"session={session}"}
            response = thief.request("GET", "/api/v1/sessions/current", headers=headers)
        statuses[response.status_code] += 1
    return statuses


def _serves(person: Person) -> Verdict:
    statuses = Counter(
        device.request("GET", path).status_code
        for _ in range(READS)
        for device in (person.laptop, person.phone)
        for path in PATHS
    )
    what = "signed-in users, with Redis full"
    return Verdict(what, "200 only", responses(statuses), set(statuses) == {200})


def _limits(deployment: Deployment, name: str) -> Verdict:
    with deployment.visitor(GUESSERS) as guesser:
        statuses = Counter(guesser.sign_in(name, WRONG).status_code for _ in range(4 * ALLOWED))
    what = "wrong passwords for one account from one network, with Redis full"
    return Verdict(what, f"≤ {ALLOWED} {TIMES} 401", responses(statuses), statuses[401] <= ALLOWED)


class _Writer(threading.Thread):
    """Strangers, one after another, who each begin an anonymous session.

    Attributes:
        in_a_row: refusals since the last one that succeeded.
        refusals: how often each status was received instead of a success.
    """

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._stopping = threading.Event()
        self.in_a_row = 0
        self.refusals: Counter[int] = Counter()

    def run(self) -> None:
        """See Thread."""
        with httpx.Client(base_url=self._url, verify=NO_TLS, timeout=30) as http:
            while not self._stopping.is_set():
                headers = {"X-Forwarded-For": address(next(STRANGERS))}
                path = "/api/v1/sessions/current/data"
                status = http.patch(path, json=MOST_DATA, headers=headers).status_code
                http.cookies.clear()
                if status == httpx.codes.OK:
                    self.in_a_row = 0
                    continue
                self.refusals[status] += 1
                self.in_a_row += 1
                self._stopping.wait(0.02)  # the others need the processor too

    def stop(self) -> None:
        """Wait until its last request is answered."""
        self._stopping.set()
        self.join(60)


@contextmanager
def _writing(deployment: Deployment) -> Iterator[list[_Writer]]:
    """Keep Redis full until the end of the block."""
    writers = [_Writer(deployment.url) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    try:
        _await_full(writers)
        yield writers
    finally:
        for writer in writers:
            writer.stop()


def _await_full(writers: Sequence[_Writer]) -> None:
    """Wait until nothing that any of them tries from now on is accepted."""
    for writer in writers:
        writer.in_a_row = 0
    eventually(lambda: all(writer.in_a_row >= ENOUGH for writer in writers), PATIENCE)


def _refuses(writers: Sequence[_Writer]) -> Verdict:
    refusals = sum((writer.refusals for writer in writers), Counter[int]())
    what = "anonymous writes, with Redis full"
    return Verdict(what, "503 only", responses(refusals), set(refusals) == {503})
