"""`flask.session`: a dictionary that is read from the store on first access."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable
from typing import Any

from flask.sessions import SessionMixin

from service.sessions.contents import UNCHANGED, Change, Values, encode
from service.sessions.record import Owner, Record


class Session(UserDict[str, Any], SessionMixin):
    """The session of one request.

    Values may be anything that msgpack encodes: None, booleans, numbers, strings, bytes, lists and
    dictionaries with string keys. A change inside a nested value needs no `modified`. What clients
    of the API keep in the session is `api_data`, and no part of the dictionary.
    """

    def __init__(self, read: Callable[[], Record | None]) -> None:
        self._read: Callable[[], Record | None] | None = read
        self._record: Record | None = None
        self._values = Values({})
        self._api_data: Values | None = None
        self.cookie_is_stale = False
        self.cleared: Record | None = None  # what `clear` ends when the request does

    @property
    def data(self) -> dict[str, Any]:  # type: ignore[override]
        """The keys and values, on which UserDict builds all its methods.

        Raises:
            SessionStoreUnavailable: Redis does not answer.
        """
        self._load()
        return self._values

    @property
    def api_data(self) -> Values:
        """The session data of the API, to read and to change. Few requests need it, so only they
        decode it.

        Raises:
            SessionStoreUnavailable: Redis does not answer.
        """
        if self._api_data is None:
            self._api_data = Values(self.record.data if self.record else {})
        return self._api_data

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
        return self.loaded and (self.cleared is not None or any(self.changes()))

    @modified.setter
    def modified(self, value: bool) -> None:
        """Ignored: Flask's users set it after a nested change, which is found anyway."""

    def encoded(self) -> dict[str, bytes]:
        """Every key of `flask.session` with its value as the store holds it.

        Raises:
            TypeError: a key is not a string, or a value cannot be encoded.
        """
        self._load()
        return self._values.encoded()

    def changes(self) -> tuple[Change, Change]:
        """What differs from the store in `flask.session`, and in the API's data.

        Raises:
            TypeError: a key is not a string, or a value cannot be encoded.
        """
        self._load()
        api_data = UNCHANGED if self._api_data is None else self._api_data.change()
        return self._values.change(), api_data

    def replace_record(self, record: Record | None) -> None:
        """Continue with another record: that of a sign-in, or None after a sign-out."""
        self._read = None
        self._continue_with(record)
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
        encode(key, item)
        super().__setitem__(key, item)

    def clear(self) -> None:
        """Remove everything, and end the session, as Flask's users do to sign somebody out or in:
        nobody is signed in afterwards, and what is set then begins a session with a new id.

        Raises:
            SessionStoreUnavailable: Redis does not answer.
        """
        if record := self.record:
            self.cleared = record
            self.replace_record(None)
        else:
            super().clear()

    def copy(self) -> dict[str, Any]:  # type: ignore[override]
        """The keys and values as a plain dictionary."""
        return dict(self.data)

    def _load(self) -> None:
        if self._read is not None:
            self._continue_with(self._read())
            self._read = None

    def _continue_with(self, record: Record | None) -> None:
        self._record = record
        self._values = Values(record.fields if record else {})
        self._api_data = None
