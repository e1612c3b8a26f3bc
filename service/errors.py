"""Every error of the domain. Each message is a sentence for people."""

from __future__ import annotations

from dataclasses import dataclass


class CoatcheckError(Exception):
    """Base of every error that this service raises on purpose."""


class Unavailable(CoatcheckError):
    """Something that the request needs does not answer, or the service has no capacity left.

    `retry_after` is in seconds.
    """

    retry_after = 1


class SessionStoreUnavailable(Unavailable):
    """The Redis that keeps the sessions does not answer."""

    def __init__(self) -> None:
        super().__init__("Sessions cannot be reached at the moment.")


class EvictionUnknown(Unavailable):
    """The Redis that keeps the sessions does not say what it does when it is full."""

    def __init__(self) -> None:
        super().__init__("Redis does not say whether it evicts sessions when it is full.")


class UsernameCacheUnavailable(Unavailable):
    """The Redis that keeps the username cache does not answer."""

    def __init__(self) -> None:
        super().__init__("The username cache cannot be reached at the moment.")


class DatabaseUnavailable(Unavailable):
    """Postgres does not answer. If it fails during a write, the write may have happened all the
    same (`may_have_happened`); without a connection, it has not."""

    def __init__(self, may_have_happened: bool = False) -> None:
        super().__init__("Accounts cannot be reached at the moment.")
        self.may_have_happened = may_have_happened


class RegistrationUnresolved(Unavailable):
    """Postgres failed while it created an account, and cannot say whether the account exists.
    The same request is safe to repeat with `idempotency_key`."""

    def __init__(self, idempotency_key: str) -> None:
        super().__init__(
            "It is not yet clear whether you are registered. Try again with the same input."
        )
        self.idempotency_key = idempotency_key


class RivalTooSlow(Unavailable):
    """Other requests want the same name, and it stays undecided for too long."""

    def __init__(self) -> None:
        super().__init__("Someone else is registering that name right now.")


class TooManyHashes(Unavailable):
    """Too many passwords are waiting to be hashed."""

    def __init__(self) -> None:
        super().__init__("Too many people are signing in right now.")


class Busy(Unavailable):
    """A request has waited too long for a thread.

    `retry_after` is the time that the waiting requests will take, in seconds.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__("The service is too busy right now.")
        self.retry_after = retry_after


class MigrationFailed(CoatcheckError):
    """The database could not be brought to the newest schema."""


@dataclass(frozen=True)
class FieldError:
    """One problem with one field of a client's input."""

    field: str
    code: str
    message: str


class InvalidInput(CoatcheckError):
    """The client's input is unacceptable; `errors` says why, field by field."""

    def __init__(self, *errors: FieldError) -> None:
        super().__init__(" ".join(error.message for error in errors))
        self.errors = errors


class UsernameTaken(CoatcheckError):
    """An account with that name exists: its row is committed."""

    def __init__(self) -> None:
        super().__init__("That username is taken.")


class NoSuchAccount(CoatcheckError):
    """No account has that name."""

    def __init__(self) -> None:
        super().__init__("There is no account with that name.")


class InvalidCredentials(CoatcheckError):
    """Unknown name, wrong password or disabled account; the error does not say which."""

    def __init__(self) -> None:
        super().__init__("Username or password is wrong.")


class WrongPassword(CoatcheckError):
    """The operation requires the account's current password, and this is a different one."""

    def __init__(self) -> None:
        super().__init__("That is not your current password.")


class NoSuchSession(CoatcheckError):
    """The account has no session with that handle."""

    def __init__(self) -> None:
        super().__init__("You have no such session.")


class SessionTooLarge(CoatcheckError):
    """A session would exceed its size limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"A session holds at most {limit} bytes of data.")


class SessionRevoked(CoatcheckError):
    """The account's sessions were revoked while this sign-in was in flight."""

    def __init__(self) -> None:
        super().__init__("This sign-in was overtaken by a change to the account. Sign in again.")


class NotSignedIn(CoatcheckError):
    """The request requires a signed-in user."""

    def __init__(self) -> None:
        super().__init__("You are not signed in.")


class CrossSite(CoatcheckError):
    """An unsafe request that another site made the browser send."""

    def __init__(self) -> None:
        super().__init__("This request comes from another site and was rejected.")
