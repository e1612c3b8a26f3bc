"""The load of the race for names: herds that want one, and rounds in which all happens at once."""

from __future__ import annotations

import unicodedata
from concurrent.futures import Future

from tests.races.caller import REQUEST_TIMEOUT
from tests.races.client import Attempt, Client
from tests.races.crowd import HERD, Crowd, Task, pause

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
        self._prefix = prefix

    def new_name(self) -> str:
        """A canonical name that nobody has asked for yet."""
        with self._lock:
            ending = self._random.choice(("", "é", "安"))
            name = f"{self._prefix}{len(self.names)}n{ending}"
            self.names.append(name)
        return name

    def attempt(self, name: str, keyed: bool | None = None) -> Attempt:
        """Somebody new who wants `name`; with an Idempotency-Key or, if not said, perhaps."""
        with self._lock:
            keyed = self._random.random() < 0.6 if keyed is None else keyed
            password, number = f"{self._random.getrandbits(96):024x}", len(self.attempts)
            key = f"{self._prefix}-{number}-{password[:8]}" if keyed else None
            attempt = Attempt(
                f"a{number}", name, self._random.choice(spellings(name)), password, key
            )
            self.attempts.append(attempt)
        return attempt

    def start_herd(self, name: str, size: int, keyed: bool | None = None) -> Future[float]:
        """Have `size` attempts for a name meet at a barrier; returns at once. The result is how
        long all of it took, in seconds."""
        tasks = [self._persist(self.attempt(name, keyed)) for _ in range(size)]
        return self._start(self._together, tasks)

    def bustle(self) -> Future[float]:
        """A herd on a new name."""
        return self.start_herd(self.new_name(), HERD)

    def herd(self, name: str, size: int, keyed: bool | None = None) -> float:
        """The same, until every one has its answer or has given up."""
        return self.start_herd(name, size, keyed).result()

    def round(self, size: int = 36) -> None:
        """Names that are new, names that are not, one that everybody wants, and questions."""
        fresh = [self.new_name() for _ in range(self._random.randint(1, 3))]
        wanted = fresh * 6 + self._random.choices(self.names, k=8) + [self.names[0]] * 4
        self._random.shuffle(wanted)
        tasks = [self._persist(self.attempt(name)) for name in wanted[: size - 6]]
        while len(tasks) < size:
            tasks.append(self._ask(self._random.choice(wanted)))
        self._random.shuffle(tasks)
        self._together(tasks)

    def _persist(self, attempt: Attempt) -> Task:
        """Ask, and ask again with the same key while nobody knows what came of it."""
        with self._lock:
            timeout = IMPATIENT if self._random.random() < 0.2 else REQUEST_TIMEOUT

        def ask() -> None:
            operation = self.client.register(attempt, timeout=timeout)
            for _ in range(REPETITIONS):
                if attempt.key is None or operation.outcome != "unknown":
                    return
                pause(operation.number)
                operation = self.client.register(attempt, timeout=timeout)

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
