"""`flask.session`: a dictionary that is read from the store on first access."""

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

    Values may be anything that msgpack encodes: None, booleans, numbers, strings, bytes, lists and
    dictionaries with string keys. A change inside a nested value needs no `modified`, because the
    encoded values are compared with the bytes that were read.
    """

    def __init__(self, read: Callable[[], Record | None]) -> None:
        self._read: Callable[[], Record | None] | None = read
        self._record: Record | None = None
        self._values: dict[str, Any] = {}
        self.cookie_is_stale = False

    @property
    def data(self) -> dict[str, Any]:  # type: ignore[override]
        """The keys and values, on which UserDict builds all its methods.

        Raises:
            SessionStoreUnavailable: Redis does not answer.
        """
        self._load()
        return self._values

    @property
    def record(self) -> Record | None:
        """The session in the store; None if there is none yet."""
        self._load()
        return self._record

    @property
    def owner(self) -> Owner | None:
        """The account that is signed in, or None."""
        return self.record.metadata.owner if self.record else None

    @property
    def new(self) -> bool:  # type: ignore[override]
        """Whether the session is not in the store yet."""
        return self.record is None

    @property
    def loaded(self) -> bool:
        """Whether this request has accessed the session."""
        return self._read is None

    @property
    def modified(self) -> bool:
        """Whether there is anything to save."""
        return self.loaded and any(self.changes())

    @modified.setter
    def modified(self, value: bool) -> None:
        """Ignored: Flask's users set it after a nested change, which is found anyway."""

    def encoded(self) -> dict[str, bytes]:
        """Every key with its value as the store holds it.

        Raises:
            TypeError: a key is not a string, or a value cannot be encoded.
            SessionTooLarge: together, they take more than MAX_DATA.
        """
        encoded = {_name(key): _value(key, value) for key, value in self.data.items()}
        if sum(len(key) + len(value) for key, value in encoded.items()) > MAX_DATA:
            raise SessionTooLarge(MAX_DATA)
        return encoded

    def changes(self) -> tuple[dict[str, bytes], list[str]]:
        """What differs from the store: the keys to write, with encoded values, and those to remove.

        Raises:
            TypeError: a key is not a string, or a value cannot be encoded.
        """
        encoded = self.encoded()
        stored = self._record.fields if self._record else {}
        if encoded == stored:  # after most requests
            return {}, []
        changed = {key: value for key, value in encoded.items() if stored.get(key) != value}
        return changed, [key for key in stored if key not in encoded]

    def replace_record(self, record: Record | None) -> None:
        """Continue with another record: that of a sign-in, or None after a sign-out."""
        self._read = None
        self._record = record
        self._values = _decoded(record)
        self.cookie_is_stale = True

    def __getitem__(self, key: str) -> Any:
        """The value of a key. A shortcut, because UserDict takes longer and views read often."""
        return (self._values if self._read is None else self.data)[key]

    def __setitem__(self, key: str, item: Any) -> None:
        """Set a key.

        Raises:
            TypeError: the key is not a string, or the value cannot be encoded. The view that sets
                it gets the error, instead of the end of the request.
        """
        _value(_name(key), item)
        super().__setitem__(key, item)

    def copy(self) -> dict[str, Any]:  # type: ignore[override]
        """The keys and values as a plain dictionary."""
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
