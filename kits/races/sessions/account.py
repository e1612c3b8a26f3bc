"""An account with several devices."""

from __future__ import annotations

import threading
from collections.abc import Callable
from random import Random

from kits.races.sessions.client import SessionClient
from kits.races.sessions.history import SessionOperation

MOST = 8  # sessions that an account uses at a time


class Account:
    """Uses its sessions as people do, and old ones as thieves do. Any thread may use it, because
    its beliefs serve only to choose the next request."""

    def __init__(self, client: SessionClient, name: str, random: Random) -> None:
        self.name = name
        self.live: list[str] = []  # handles
        self.dead: list[str] = []
        self.used = 0  # operations
        self._client = client
        self._random = random
        self._lock = threading.Lock()
        self._passwords = [self._new_password()]
        self._candidates = 1  # how many of the last passwords may be the current one
        self._written = 0

    def open(self, devices: int) -> None:
        """Register, and sign in on further devices until the service stops issuing sessions."""
        operation = self._learn(self._client.register(self.name, self._passwords[-1]))
        while operation.issued and len(self.live) < devices:
            operation = self.login()

    def login(self, previous: str | None = None) -> SessionOperation:
        """Sign in with the current password."""
        likely = self._passwords[-self._candidates :] if self.live else self._passwords
        password = self._random.choice(likely)
        return self._learn(self._client.login(self.name, password, previous))

    def login_again(self) -> SessionOperation:
        """Sign in on a device that is already signed in."""
        return self.login(self._one())

    def login_with_old(self) -> SessionOperation:
        """Try a password, probably an old one."""
        return self._learn(self._client.login(self.name, self._random.choice(self._passwords)))

    def visit_and_login(self) -> SessionOperation:
        """Write to an anonymous session, and sign in with it."""
        visit = self._client.write(f"visitor-of-{self.name}", None, self._key())
        return self.login(visit.issued)

    def read(self) -> SessionOperation:
        """Ask who is signed in."""
        return self._learn(self._client.read(self.name, self._one()))

    def devices(self) -> SessionOperation:
        """List the account's sessions."""
        return self._learn(self._client.devices(self.name, self._one()))

    def data(self) -> SessionOperation:
        """Read the session's data."""
        return self._client.data(self.name, self._one())

    def write(self, session: str | None = None) -> SessionOperation:
        """Write one more key."""
        return self._client.write(self.name, session or self._one(), self._key())

    def read_old(self) -> SessionOperation:
        """Try the id of an ended session."""
        return self._client.read(self.name, self._old())

    def write_old(self) -> SessionOperation:
        """Write to an ended session."""
        return self.write(self._old())

    def logout(self, session: str | None = None) -> SessionOperation:
        """Sign out."""
        session = session or self._one()
        return self._ended(self._client.logout(self.name, session), session)

    def revoke(self, target: str | None = None) -> SessionOperation:
        """Revoke a session from another one, or from itself."""
        session, target = self._one(), target or self._one()
        return self._ended(self._client.revoke(self.name, session, target), target)

    def revoke_others(self, session: str | None = None) -> SessionOperation:
        """Revoke all sessions except one, which gets a new id."""
        session = session or self._one()
        everyone = self.live
        return self._ended(self._client.revoke_several(self.name, session, "others"), *everyone)

    def revoke_all(self) -> SessionOperation:
        """Revoke all sessions."""
        session = self._one()
        everyone = self.live
        return self._ended(self._client.revoke_several(self.name, session, "all"), *everyone)

    def change_password(self, session: str | None = None) -> SessionOperation:
        """Change the password; several threads may try at the same time."""
        session, new = session or self._one(), self._new_password()
        ending = self.live
        with self._lock:
            old = self._random.choice(self._passwords[-self._candidates :])
        operation = self._client.change(self.name, session, old, new)
        if operation.outcome == "unknown":  # repeat the same change
            operation = self._client.change(self.name, session, old, new)
        with self._lock:
            if operation.status not in (403, 422, 429):
                self._passwords.append(new)
                self._candidates = 1 if operation.outcome == "ok" else self._candidates + 1
        return self._ended(operation, *ending)

    def close(self) -> SessionOperation:
        """Delete the account."""
        session = self._one()
        password = self._random.choice(self._passwords[-self._candidates :])
        everyone = self.live
        return self._ended(self._client.close(self.name, session, password), *everyone)

    def look_at(self, handles: list[str]) -> None:
        """Try ids, alive or not."""
        for handle in handles:
            self._learn(self._client.read(self.name, handle))

    def _ended(self, operation: SessionOperation, *sessions: str) -> SessionOperation:
        """Note what an operation ended for certain; a later use shows what it may have ended."""
        if operation.outcome == "ok":
            self._forget(*sessions)
        return self._learn(operation)

    def _learn(self, operation: SessionOperation) -> SessionOperation:
        if operation.issued:
            self.live.append(operation.issued)
        if operation.status == 401 and operation.session and operation.kind != "login":
            self._forget(operation.session)
        if operation.kind == "login" and operation.outcome == "ok" and operation.session:
            self._forget(operation.session)
        return operation

    def _forget(self, *sessions: str) -> None:
        self.dead += [each for each in sessions if each not in self.dead]
        self.live = [each for each in self.live if each not in sessions]

    def _one(self) -> str:
        """A session that should be alive, or else any."""
        return self._random.choice(self.live or self.dead)

    def _old(self) -> str:
        return self._random.choice(self.dead[-10:] or self.live)

    def _key(self) -> str:
        with self._lock:
            self._written += 1
            return f"{self.name}-{self._written}"

    def _new_password(self) -> str:
        return f"{self._random.getrandbits(96):024x}"


# The requests, weighted.
ACTS: dict[Callable[[Account], SessionOperation], int] = {
    Account.read: 26,
    Account.write: 26,
    Account.data: 10,
    Account.devices: 5,
    Account.read_old: 12,
    Account.write_old: 4,
    Account.login: 12,
    Account.login_again: 3,
    Account.login_with_old: 4,
    Account.visit_and_login: 2,
    Account.logout: 4,
    Account.revoke: 4,
    Account.revoke_others: 2,
    Account.revoke_all: 2,
    Account.change_password: 4,
}
