"""Every error of the service: a code, and parameters for its sentence in service.web.messages."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import ClassVar


class CoatcheckError(Exception):
    """Base of every error that this service raises on purpose.

    `code` is the name of the class in snake case; logs and the sentences are keyed by it.
    `parameters` complete the sentence, and contain nothing secret.
    """

    code: ClassVar[str]

    def __init_subclass__(cls) -> None:
        cls.code = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()

    def __init__(self, **parameters: int | str) -> None:
        super().__init__()
        self.parameters = parameters

    def __str__(self) -> str:
        return _described(self.code, self.parameters)


class StartupError(Exception):
    """The service cannot start, or cannot go on. The message tells the operator why in one line."""


class Unavailable(CoatcheckError):
    """Something that the request needs does not answer, or the service is at its capacity.

    `retry_after` is in seconds.
    """

    retry_after = 1


class SessionStoreUnavailable(Unavailable):
    """The Redis that keeps the sessions does not answer."""


class RevocationPending(Unavailable):
    """Postgres has the change of an account, and Redis not yet the end of its sessions. A chore
    completes that."""


class EvictionUnknown(Unavailable):
    """The Redis that keeps the sessions does not say what it does when it is full."""


class UsernameCacheUnavailable(Unavailable):
    """The Redis that keeps the username cache does not answer."""


class DatabaseUnavailable(Unavailable):
    """Postgres does not answer.

    If it fails during a write, the write may have happened (`may_have_happened`). Without a
    connection, it has not.
    """

    def __init__(self, may_have_happened: bool = False) -> None:
        super().__init__()
        self.may_have_happened = may_have_happened


class RegistrationUnresolved(Unavailable):
    """Postgres failed during a registration, and the account may exist.

    The same request is safe to repeat with `idempotency_key`.
    """

    def __init__(self, idempotency_key: str) -> None:
        super().__init__()
        self.idempotency_key = idempotency_key


class RivalTooSlow(Unavailable):
    """Other requests want the same name, and take too long."""


class NameJustReleased(Unavailable):
    """The name became free just after the attempt to insert a row. The next attempt may get it."""


class TooManyHashes(Unavailable):
    """Too many passwords are waiting to be hashed."""


class Busy(Unavailable):
    """A request has waited too long for a thread.

    `retry_after` is how long the waiting requests will take, in seconds.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after


class TooManyRequests(CoatcheckError):
    """A limit is used up; `service.throttling.table` has them all.

    Args:
        limit: its name.
        amount: how many attempts it allows in a window.
        window: seconds.
    """

    def __init__(self, limit: str, amount: int, window: int) -> None:
        super().__init__()
        self.limit, self.amount, self.window = limit, amount, window


class LimitUsedUp(TooManyRequests):
    """Time alone frees the limit, and the next attempt fits in `retry_after` seconds."""

    def __init__(self, limit: str, amount: int, window: int, retry_after: int) -> None:
        super().__init__(limit, amount, window)
        self.retry_after = retry_after


class GuessesUsedUp(TooManyRequests):
    """So many passwords in a row were wrong that nobody may try another, except the owner on a
    known device. Waiting does not help."""


class NoHost(CoatcheckError):
    """The request has no Host header."""


class BodyTooLarge(CoatcheckError):
    """The body is longer than this service reads: `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit=limit)


class BodyTooSlow(CoatcheckError):
    """The body did not arrive in time."""


class WrongMediaType(CoatcheckError):
    """The body is declared as something other than `expected`."""

    def __init__(self, expected: str) -> None:
        super().__init__(expected=expected)


class NotJson(CoatcheckError):
    """The body is not a JSON object."""


class UnreadableForm(CoatcheckError):
    """The body is not a form in UTF-8, or has too many fields."""


@dataclasses.dataclass(frozen=True)
class FieldError:
    """One problem with one field of a client's input."""

    field: str
    code: str
    parameters: Mapping[str, int | str] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        return _described(f"{self.field}/{self.code}", self.parameters)


class InvalidInput(CoatcheckError):
    """The client's input is unacceptable. `errors` says why, field by field."""

    def __init__(self, *errors: FieldError) -> None:
        super().__init__()
        self.errors = errors

    def __str__(self) -> str:
        return ", ".join([self.code, *map(str, self.errors)])


class UsernameTaken(CoatcheckError):
    """A committed row has that name."""


class NoSuchAccount(CoatcheckError):
    """No account has that name."""


class InvalidCredentials(CoatcheckError):
    """Unknown name, wrong password or disabled account. The client does not learn which."""


class WrongPassword(CoatcheckError):
    """The operation requires the account's current password, and that was another one."""


class NoSuchSession(CoatcheckError):
    """The account has no session with that handle."""


class SessionTooLarge(CoatcheckError):
    """A session would hold more keys or bytes than it may."""

    def __init__(self, keys: int, limit: int) -> None:
        super().__init__(keys=keys, limit=limit)


class SessionRevoked(CoatcheckError):
    """The account's sessions were revoked during this sign-in."""


class NotSignedIn(CoatcheckError):
    """The request requires a signed-in user."""


class StepUpRequired(CoatcheckError):
    """The user has to authenticate again first, by one of the methods in `factors`."""

    def __init__(self, factors: tuple[str, ...]) -> None:
        super().__init__()
        self.factors = factors


class CrossSite(CoatcheckError):
    """An unsafe request that another site made the browser send."""


def _described(code: str, parameters: Mapping[str, int | str]) -> str:
    return " ".join([code, *(f"{name}={value}" for name, value in parameters.items())])
