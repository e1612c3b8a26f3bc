"""The load of the race for names: herds that want one, and rounds in which all happens at once.

Some of the clients use the form, and click twice; some of the winners delete their account again.
"""

from __future__ import annotations

import unicodedata
from concurrent.futures import Future
from functools import partial

from kits.races.http_client import REQUEST_TIMEOUT
from kits.races.load import HERD, Crowd, Task, pause
from kits.races.registrations.client import Attempt, Client

IMPATIENT = 2.0  # seconds until a client that is in a hurry gives up
REPETITIONS = 2  # of a request with an unknown outcome, before it is left for later


class Load(Crowd):
    """Clients that want names, and ask about them."""

    def __init__(self, client: Client, seed: int, prefix: str) -> None:
        """
        Args:
            client: how the service is reached.
            seed: of every choice.
            prefix: of every name: lower-case ASCII, and new with each run.
        """
        super().__init__(seed)
        self.client = client
        self.names: list[str] = []
        self.attempts: list[Attempt] = []
        self._members: dict[str, Attempt] = {}  # who is signed in, by name
        self._prefix = prefix

    def new_name(self) -> str:
        """A canonical name that nobody has asked for yet."""
        with self._lock:
            ending = self._random.choice(("", "é", "安"))
            name = f"{self._prefix}{len(self.names)}n{ending}"
            self.names.append(name)
        return name

    def attempt(self, name: str, keyed: bool | None = None) -> Attempt:
        """Somebody new who wants `name`; with an Idempotency-Key, without or, if not said, perhaps
        by the form."""
        with self._lock:
            form = keyed is None and self._random.random() < 0.3
            keyed = form or self._random.random() < 0.6 if keyed is None else keyed
            password, number = f"{self._random.getrandbits(96):024x}", len(self.attempts)
            key = f"{self._prefix}-{number}-{password[:8]}" if keyed else None
            spelling = self._random.choice(spellings(name))
            attempt = Attempt(f"a{number}", name, spelling, password, key, form)
            self.attempts.append(attempt)
        return attempt

    def start_herd(self, name: str, size: int, keyed: bool | None = None) -> Future[float]:
        """Have `size` attempts for a name meet at a barrier; returns at once. The result is how
        long all of it took, in seconds."""
        tasks = [task for _ in range(size) for task in self._want(name, keyed)]
        return self._start(self._together, tasks)

    def bustle(self) -> Future[float]:
        """A herd on a new name."""
        return self.start_herd(self.new_name(), HERD)

    def herd(self, name: str, size: int, keyed: bool | None = None) -> float:
        """The same, until every one has its answer or has given up."""
        return self.start_herd(name, size, keyed).result()

    def round(self, size: int = 36) -> None:
        """Names that are new, names that are not, one that everybody wants, one whose owner
        leaves, and questions."""
        fresh = [self.new_name() for _ in range(self._random.randint(1, 3))]
        leaving = self._leaving()
        wanted = fresh * 6 + self._random.choices(self.names, k=8) + [self.names[0]] * 4
        self._random.shuffle(wanted)
        wanted[:0] = leaving * 3
        tasks: list[Task] = [partial(self.leave, name) for name in leaving]
        tasks += [task for name in wanted[: size * 2 // 3] for task in self._want(name)]
        while len(tasks) < size:
            tasks.append(self._ask(self._random.choice(wanted)))
        self._random.shuffle(tasks)
        self._together(tasks)

    def leave(self, name: str) -> None:
        """Have the owner of a name delete the account, if they are signed in."""
        with self._lock:
            owner = self._members.pop(name, None)
        for _ in range(1 + REPETITIONS if owner else 0):
            operation = self.client.delete(owner)
            if operation.outcome != "unknown":
                return
            pause(operation.number)

    def _leaving(self) -> list[str]:
        """The name of somebody who leaves; half of the time nobody does."""
        with self._lock:
            members = list(self._members)
            return self._random.sample(members, min(len(members), self._random.randint(0, 1)))

    def _want(self, name: str, keyed: bool | None = None) -> list[Task]:
        """Somebody new who asks for a name; a form is sent by a double click."""
        attempt = self.attempt(name, keyed)
        return [self._persist(attempt) for _ in range(2 if attempt.form else 1)]

    def _persist(self, attempt: Attempt) -> Task:
        """Ask, and ask again with the same key while nobody knows what came of it; for a form that
        is a reload, or another click in the form that is shown again."""
        with self._lock:
            timeout = IMPATIENT if self._random.random() < 0.2 else REQUEST_TIMEOUT

        def ask() -> None:
            for _ in range(1 + REPETITIONS):
                operation = self.client.register(attempt, timeout=timeout)
                if operation.signed_in:
                    with self._lock:
                        self._members[attempt.name] = attempt
                if attempt.key is None or operation.outcome != "unknown":
                    return
                pause(operation.number)

        return ask

    def _ask(self, name: str) -> Task:
        with self._lock:
            spelling = self._random.choice(spellings(name))
        return lambda: self.client.availability(name, spelling)


def spellings(name: str) -> list[str]:
    """Ways to write a canonical name: RFC 8265 maps case and width and composes accents."""
    wide = "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in name)
    apart = unicodedata.normalize("NFD", name)
    return [name, name.upper(), name.capitalize(), wide, apart.upper()]
