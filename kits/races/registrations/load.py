"""The load of registrations: herds that race for one name, and rounds that mix all requests.

Some clients use the form and click twice; some winners delete their account again.
"""

from __future__ import annotations

import unicodedata
from concurrent.futures import Future
from functools import partial

from kits.races.http_client import REQUEST_TIMEOUT
from kits.races.load import HERD, Load, Task, pause
from kits.races.registrations.client import Attempt, RegistrationClient

IMPATIENT = 2.0  # seconds until an impatient client gives up
REPETITIONS = 2  # of a request with an unknown outcome, before the final checks resolve it


class RegistrationLoad(Load):
    """Clients that register names, and ask whether names are free."""

    def __init__(self, client: RegistrationClient, seed: int, prefix: str) -> None:
        """
        Args:
            client: sends the requests.
            seed: of every choice.
            prefix: of every name: lower-case ASCII, and new in each run.
        """
        super().__init__(seed)
        self.client = client
        self.names: list[str] = []
        self.attempts: list[Attempt] = []
        self._members: dict[str, Attempt] = {}  # the signed-in owners, by name
        self._prefix = prefix

    def new_name(self) -> str:
        """A canonical name that no client has requested."""
        with self._lock:
            ending = self._random.choice(("", "é", "安"))
            name = f"{self._prefix}{len(self.names)}n{ending}"
            self.names.append(name)
        return name

    def attempt(self, name: str, keyed: bool | None = None) -> Attempt:
        """A new client that wants `name`. If `keyed` is None, chance decides whether it sends an
        Idempotency-Key, and whether it uses the form."""
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
        """Start `size` attempts for a name from a barrier; returns at once. The result is the
        seconds until the last one is done."""
        tasks = [task for _ in range(size) for task in self._want(name, keyed)]
        return self._start(self._run_together, tasks)

    def start_traffic(self) -> Future[float]:
        """Start a herd on a new name."""
        return self.start_herd(self.new_name(), HERD)

    def herd(self, name: str, size: int, keyed: bool | None = None) -> float:
        """The same, but wait until every attempt has its response or has given up."""
        return self.start_herd(name, size, keyed).result()

    def round(self, size: int = 36) -> None:
        """Mix new names, old names, one popular name, one whose owner leaves, and questions about
        names."""
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
        self._run_together(tasks)

    def leave(self, name: str) -> None:
        """Let the owner of a name delete the account, if one is signed in."""
        with self._lock:
            owner = self._members.pop(name, None)
        for _ in range(1 + REPETITIONS if owner else 0):
            operation = self.client.delete(owner)
            if operation.outcome != "unknown":
                return
            pause(operation.number)

    def _leaving(self) -> list[str]:
        """The name whose owner leaves; half of the time there is none."""
        with self._lock:
            members = list(self._members)
            return self._random.sample(members, min(len(members), self._random.randint(0, 1)))

    def _want(self, name: str, keyed: bool | None = None) -> list[Task]:
        """Let a new client register a name; a form is submitted with a double click."""
        attempt = self.attempt(name, keyed)
        return [self._persist(attempt) for _ in range(2 if attempt.form else 1)]

    def _persist(self, attempt: Attempt) -> Task:
        """Register, and repeat with the same key while the outcome is unknown. With a form, that is
        a reload, or another click in the form that came back."""
        with self._lock:
            timeout = IMPATIENT if self._random.random() < 0.2 else REQUEST_TIMEOUT

        def register() -> None:
            for _ in range(1 + REPETITIONS):
                operation = self.client.register(attempt, timeout=timeout)
                if operation.signed_in:
                    with self._lock:
                        self._members[attempt.name] = attempt
                if attempt.key is None or operation.outcome != "unknown":
                    return
                pause(operation.number)

        return register

    def _ask(self, name: str) -> Task:
        with self._lock:
            spelling = self._random.choice(spellings(name))
        return lambda: self.client.availability(name, spelling)


def spellings(name: str) -> list[str]:
    """Spellings of a canonical name: RFC 8265 maps case and width, and composes accents."""
    wide = "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in name)
    apart = unicodedata.normalize("NFD", name)
    return [name, name.upper(), name.capitalize(), wide, apart.upper()]
