"""The load of sessions: accounts whose devices all act at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from kits.races.load import HERD, Load, Task
from kits.races.sessions.account import ACTS, MOST, Account
from kits.races.sessions.client import SessionClient
from kits.races.sessions.history import SessionOperation

ACCOUNTS = 4  # that act at the same time
LIFETIME = 220  # requests until a new account replaces one
DEVICES = 3  # of a new account

Act = Callable[[Account], SessionOperation]


class SessionLoad(Load):
    """Accounts that use their sessions, end them, and try them again."""

    def __init__(self, client: SessionClient, seed: int, prefix: str) -> None:
        """
        Args:
            client: sends the requests.
            seed: of every choice.
            prefix: of every name: lower-case ASCII, and new in each run.
        """
        super().__init__(seed)
        self.client = client
        self._prefix = prefix
        self._opened = 0
        self._accounts: list[Account] = []

    def new_account(self) -> Account:
        """A new account, signed in on several devices if the service responds."""
        with self._lock:
            self._opened += 1
            account = Account(self.client, f"{self._prefix}{self._opened}", self._random)
        account.open(DEVICES)
        return account

    def round(self, size: int = 36) -> None:
        """Let every account send requests at the same time."""
        self._renew()
        tasks = []
        for _ in range(size):
            account = self._random.choice(self._accounts)
            account.used += 1
            tasks.append(partial(self._act, account, self._draw(account)))
        self._run_together(tasks)

    def start_traffic(self) -> Future[float]:
        """Let a new account send requests in the background."""
        account = self.new_account()
        acts = [self._draw(account) for _ in range(HERD)]
        return self._start(self._run_together, [partial(self._act, account, act) for act in acts])

    def act_amid_traffic(self, account: Account, act: Act) -> None:
        """Let one device act while all read and write, then try all ids."""
        tasks: list[Task] = [partial(act, account)]
        while len(tasks) < HERD:
            tasks.append(partial(self._random.choice([Account.read, Account.write]), account))
        self._run_together(tasks)
        account.look_at([*account.dead, *account.live])

    def start(self, act: Task) -> Future[object]:
        """Send one request in the background."""
        return self._starters.submit(act)

    def _renew(self) -> None:
        """Replace accounts that have sent enough requests."""
        used = [each for each in self._accounts if each.used >= LIFETIME or not _usable(each)]
        self._accounts = [each for each in self._accounts if each not in used]
        farewells = [partial(_leave, each) for each in used if _usable(each)]
        missing = range(ACCOUNTS - len(self._accounts))
        arrivals = [partial(self._arrive) for _ in missing]
        if tasks := [*farewells, *arrivals]:
            self._run_together(tasks)

    def _arrive(self) -> None:
        self._accounts.append(self.new_account())

    def _draw(self, account: Account) -> Act:
        if not account.live:
            return Account.login
        while (act := self._random.choices(list(ACTS), list(ACTS.values()))[0]) is Account.login:
            if len(account.live) < MOST:
                break
        return act

    def _act(self, account: Account, act: Act) -> object:
        return act(account) if _usable(account) else account.login()


def _leave(account: Account) -> None:
    account.close()
    account.look_at(account.dead[-5:])
    account.login()


def _usable(account: Account) -> bool:
    """Whether the account has a session to try, alive or ended; it has none if it could not even
    register."""
    return bool(account.live or account.dead)
