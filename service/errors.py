"""Every error of the domain. The message of each is a sentence that a person may read."""

from __future__ import annotations

from dataclasses import dataclass


class CoatcheckError(Exception):
    """Base of all that this service raises on purpose."""


class Unavailable(CoatcheckError):
    """Something that the request needs does not answer, or there is no room for it now.

    `retry_after` is in seconds.
    """

    retry_after = 1


class SessionStoreUnavailable(Unavailable):
    """The Redis that keeps the sessions does not answer."""

    def __init__(self) -> None:
        super().__init__("Sessions cannot be reached at the moment.")


class EvictionUnknown(Unavailable):
    """The Redis that keeps the sessions does not tell what it does when it is full."""

    def __init__(self) -> None:
        super().__init__("Redis does not tell whether it evicts sessions when it is full.")


class UsernameCacheUnavailable(Unavailable):
    """The Redis that keeps the username cache does not answer."""

    def __init__(self) -> None:
        super().__init__("The username cache cannot be reached at the moment.")


class DatabaseUnavailable(Unavailable):
    """Postgres does not answer. A write may have happened all the same if it broke down under
    way; not if there was no connection to begin with."""

    def __init__(self, may_have_happened: bool = False) -> None:
        super().__init__("Accounts cannot be reached at the moment.")
        self.may_have_happened = may_have_happened


class RegistrationUnresolved(Unavailable):
    """Postgres failed while it created an account, and cannot say whether the account exists.
    The same request is safe to repeat with `idempotency_key`."""

    def __init__(self, idempotency_key: str) -> None:
        super().__init__("It is not certain yet whether you are registered. Try the same again.")
        self.idempotency_key = idempotency_key


class RivalTooSlow(Unavailable):
    """Others are after the same name, and it stays undecided for too long."""

    def __init__(self) -> None:
        super().__init__("Somebody is registering that name right now.")


class TooManyHashes(Unavailable):
    """As many passwords are waiting to be hashed as may wait."""

    def __init__(self) -> None:
        super().__init__("Too many people are signing in right now.")


class Busy(Unavailable):
    """The time that a request may wait for a thread is over.

    `retry_after` is how long those who wait will take, in seconds.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__("Too many people are here right now.")
        self.retry_after = retry_after


class MigrationFailed(CoatcheckError):
    """The database could not be brought to the newest schema."""


@dataclass(frozen=True)
class FieldError:
    """One thing that is wrong with one field of what a client sent."""

    field: str
    code: str
    message: str


class InvalidInput(CoatcheckError):
    """What the client sent cannot be accepted; says why, field by field."""

    def __init__(self, *errors: FieldError) -> None:
        super().__init__(" ".join(error.message for error in errors))
        self.errors = errors


class UsernameTaken(CoatcheckError):
    """An account of that name exists: its row is committed."""

    def __init__(self) -> None:
        super().__init__("That username is taken.")


class NoSuchAccount(CoatcheckError):
    """No account has that name."""

    def __init__(self) -> None:
        super().__init__("There is no account of that name.")


class InvalidCredentials(CoatcheckError):
    """Unknown name, wrong password or disabled account: which of them is not told."""

    def __init__(self) -> None:
        super().__init__("Username or password is wrong.")


class WrongPassword(CoatcheckError):
    """The account's present password was asked for, and another was given."""

    def __init__(self) -> None:
        super().__init__("That is not your present password.")


class NoSuchSession(CoatcheckError):
    """The account has no session with that handle."""

    def __init__(self) -> None:
        super().__init__("You have no such session.")


class SessionTooLarge(CoatcheckError):
    """A session would hold more than it may."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"A session holds at most {limit} bytes of data.")


class SessionRevoked(CoatcheckError):
    """The account's sessions were revoked while this sign-in was under way."""

    def __init__(self) -> None:
        super().__init__("This sign-in was overtaken by a change to the account. Sign in again.")


class NotSignedIn(CoatcheckError):
    """The request needs somebody who is signed in."""

    def __init__(self) -> None:
        super().__init__("You are not signed in.")


class CrossSite(CoatcheckError):
    """An unsafe request that another site made the browser send."""

    def __init__(self) -> None:
        super().__init__("This request comes from another site and was refused.")
