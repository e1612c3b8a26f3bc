"""`flask.session`: a dictionary that is read from the store when it is first looked at."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable
from typing import Any

import msgspec
from flask.sessions import SessionMixin

from service.errors import SessionTooLarge
from service.sessions.record import Owner, Record

MAX_DATA = 64 * 1024  # bytes, encoded

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Session(UserDict[str, Any], SessionMixin):
    """The session of one request.

    Nothing is read from Redis until the first access. Values may be whatever msgpack carries:
    None, booleans, numbers, strings, bytes, lists and string-keyed dictionaries of these. A change
    inside a nested value is found without `modified`, by comparing with the bytes that were read.
    """

    def __init__(self, read: Callable[[], Record | None]) -> None:
        self._read: Callable[[], Record | None] | None = read
        self._record: Record | None = None
        self._values: dict[str, Any] = {}
        self.cookie_is_stale = False

    @property
    def data(self) -> dict[str, Any]:  # type: ignore[override]
        """The keys and values, from which UserDict answers everything else.

        Raises:
            SessionStoreUnavailable: Redis does not answer.
        """
        self._load()
        return self._values

    @property
    def record(self) -> Record | None:
        """The session as the store has it; None if this request began without one."""
        self._load()
        return self._record

    @property
    def owner(self) -> Owner | None:
        """The account that is signed in; None if nobody is."""
        return self.record.metadata.owner if self.record else None

    @property
    def new(self) -> bool:  # type: ignore[override]
        """Whether there is no such session in the store (yet)."""
        return self.record is None

    @property
    def loaded(self) -> bool:
        """Whether anybody has looked at it, in this request."""
        return self._read is None

    @property
    def modified(self) -> bool:
        """Whether there is anything to save."""
        return self.loaded and any(self.changes())

    @modified.setter
    def modified(self, value: bool) -> None:
        """Accepted, as Flask's users set it after a nested change; not needed here."""

    def encoded(self) -> dict[str, bytes]:
        """Every key as the store would hold it.

        Raises:
            TypeError: a key is not a string, or a value cannot be encoded.
            SessionTooLarge: all of it together is more than a session may hold.
        """
        encoded = {_name(key): _value(key, value) for key, value in self.data.items()}
        if sum(len(key) + len(value) for key, value in encoded.items()) > MAX_DATA:
            raise SessionTooLarge(MAX_DATA)
        return encoded

    def changes(self) -> tuple[dict[str, bytes], list[str]]:
        """What differs from the store: the keys to write, encoded, and the names to remove.

        Raises:
            TypeError: a key is not a string, or a value cannot be encoded.
        """
        encoded = self.encoded()
        stored = self._record.fields if self._record else {}
        if encoded == stored:  # as after most requests
            return {}, []
        changed = {key: value for key, value in encoded.items() if stored.get(key) != value}
        return changed, [key for key in stored if key not in encoded]

    def replace_record(self, record: Record | None) -> None:
        """Go on with another record: the one of a sign-in, or none after a sign-out."""
        self._read = None
        self._record = record
        self._values = _decoded(record)
        self.cookie_is_stale = True

    def __getitem__(self, key: str) -> Any:
        """The value of a key. What UserDict does, in a third of the time."""
        return (self._values if self._read is None else self.data)[key]

    def __setitem__(self, key: str, item: Any) -> None:
        """Set a key.

        Raises:
            TypeError: the key is not a string, or the value cannot be stored: said here, to the
                view that sets it, and not when the response is sent.
        """
        _value(_name(key), item)
        super().__setitem__(key, item)

    def copy(self) -> dict[str, Any]:  # type: ignore[override]
        """The keys and values in a plain dictionary."""
        return dict(self.data)

    def _load(self) -> None:
        if self._read is not None:
            self._record = self._read()
            self._values = _decoded(self._record)
            self._read = None


def _decoded(record: Record | None) -> dict[str, Any]:
    return {key: _decode(value) for key, value in record.fields.items()} if record else {}


def _name(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a session key must be a string, not {type(key).__name__}")
    return key


def _value(key: str, value: object) -> bytes:
    try:
        return _encode(value)
    except (TypeError, OverflowError, ValueError, RecursionError) as error:
        raise TypeError(f"session[{key!r}] cannot be stored: {error}") from error
