"""What a session holds, in two namespaces: the keys of `flask.session`, which only the views of the
application write, and those of the API's session data, which clients write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import structlog

from service.errors import SessionTooLarge
from service.sessions import keys, values
from service.sessions.record import Owner

KIB = 1024
ABSENT = object()

log = structlog.get_logger()


class Change(NamedTuple):
    """How a namespace differs from the store."""

    written: Mapping[str, bytes] = {}  # encoded
    removed: Sequence[str] = ()

    def __bool__(self) -> bool:
        """Whether it differs at all."""
        return bool(self.written or self.removed)


UNCHANGED = Change()


class Namespace(NamedTuple):
    """The part of a session in Redis that holds one of the two, and how much it may hold."""

    prefix: bytes  # of its fields
    most_keys: int
    most_bytes: int  # of the keys, in UTF-8, and of the encoded values

    def pairs(self, written: Mapping[str, bytes]) -> list[bytes]:
        """Keys and encoded values for Redis: field, value, field, value, …

        Raises:
            SessionTooLarge: they are too much even for an empty session. save.lua adds what is
                stored.
        """
        if len(written) > self.most_keys or self.most_bytes < sum(
            len(key.encode()) + len(value) for key, value in written.items()
        ):
            raise SessionTooLarge(self.most_keys, self.most_bytes)
        return [
            part for key, value in written.items() for part in (self.prefix + key.encode(), value)
        ]

    def arguments(self, change: Change) -> list[bytes | int]:
        """A change for save.lua. Raises what `pairs` does."""
        removed = [self.prefix + key.encode() for key in change.removed]
        pairs = self.pairs(change.written)
        limits = (self.prefix, self.most_keys, self.most_bytes)
        return [*limits, len(removed), *removed, len(change.written), *pairs]


FLASK = Namespace(keys.FLASK, 1024, 64 * KIB)
DATA = Namespace(keys.DATA, 128, 64 * KIB)
ANONYMOUS_DATA = Namespace(keys.DATA, 16, 4 * KIB)


def namespaces(owner: Owner | None) -> tuple[Namespace, Namespace]:
    """Those of a session with this owner: for `flask.session`, and for the API's data."""
    return FLASK, DATA if owner else ANONYMOUS_DATA


class Values(dict[str, Any]):
    """The keys and values of one namespace, and what the request has changed among them.

    A change inside a nested value is found too, because the encoded values are compared with the
    bytes that were read. A value that cannot be read is left alone: another version of the
    application or of the service may need it. Writing to its key replaces it.
    """

    def __init__(self, stored: Mapping[str, bytes] = {}) -> None:
        """
        Args:
            stored: the keys and encoded values, as read.
        """
        super().__init__()
        self._stored: Mapping[str, bytes] = stored
        self._as_read: Mapping[str, Any] = stored
        if stored:
            self.continue_with(stored)

    def continue_with(self, stored: Mapping[str, bytes]) -> None:
        """Hold what the store holds by now."""
        self._as_read = _readable(stored)
        self._stored = (
            stored
            if len(stored) == len(self._as_read)
            else {key: stored[key] for key in self._as_read}
        )
        dict.clear(self)
        dict.update(self, self._as_read)

    def encoded(self) -> dict[str, bytes]:
        """Every key with its value as the store holds it.

        Raises:
            TypeError: a key or a value cannot be stored.
        """
        return {key: self._encoded(key, value) for key, value in self.items()}

    def disregard_changes(self) -> None:
        """Compare with what is here now, instead of the store.

        Raises:
            TypeError: a key or a value cannot be stored.
        """
        self._stored = self.encoded()
        self._as_read = dict(self)

    def change(self) -> Change:
        """What differs from the store.

        Raises:
            TypeError: a key or a value cannot be stored.
        """
        written, read, stored = {}, self._as_read, self._stored
        for key, value in self.items():
            if value is read.get(key, ABSENT) and type(value) in values.PLAIN:
                continue  # it is immutable, so nobody can have changed it
            encoded = self._encoded(key, value)
            if encoded != stored.get(key):
                written[key] = encoded
        removed = [key for key in stored if key not in self]
        return Change(written, removed) if written or removed else UNCHANGED

    def _encoded(self, key: str, value: object) -> bytes:
        stored = self._stored.get(key)
        if stored is None:
            return encode(key, value)
        try:
            encoded = values.encode(value)
        except TypeError as error:
            if not values.still_means(stored, value, None):
                raise _unstorable(key, error) from None
            return stored
        if encoded == stored or not values.still_means(stored, value, encoded):
            return encoded
        return stored  # as an earlier version has stored it: reading it writes nothing


def encode(key: object, value: object) -> bytes:
    """A value as the store holds it.

    Raises:
        TypeError: its key or the value cannot be stored; the message names the key.
    """
    if not isinstance(key, str):
        raise TypeError(f"a session key must be a string, not {type(key).__name__}")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise TypeError(f"session key {key!r} is no text: it has a lone surrogate") from None
    try:
        return values.encode(value)
    except TypeError as error:
        raise _unstorable(key, error) from None


def _unstorable(key: str, error: TypeError) -> TypeError:
    return TypeError(f"session[{key!r}] cannot be stored: {error}")


def _readable(stored: Mapping[str, bytes]) -> dict[str, Any]:
    """The values that can be read."""
    try:
        return {key: values.decode(value) for key, value in stored.items()}
    except values.UNREADABLE:
        return _some_readable(stored)


def _some_readable(stored: Mapping[str, bytes]) -> dict[str, Any]:
    read, reasons = {}, set()
    for key, value in stored.items():
        try:
            read[key] = values.decode(value)
        except values.UNREADABLE as error:
            reasons.add(type(error).__name__)
    # Without the keys: some libraries put secrets into them.
    count = len(stored) - len(read)
    log.warning("session_values_unreadable", count=count, reasons=sorted(reasons))
    return read
