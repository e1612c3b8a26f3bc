"""`flask.session`: a dictionary that is read from the store on first access."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any

from flask.sessions import SessionMixin

from service.sessions.contents import UNCHANGED, Change, Values, encode
from service.sessions.record import Owner, Record


class Session(Values, SessionMixin):
    """The session of one request.

    `service.sessions.values` says what it can hold. A change inside a nested value needs no
    `modified`. What clients of the API keep in the session is `api_data`, and no part of the
    dictionary.

    It is a `dict`, as Flask's own sessions are.
    """

    def __init__(self, read: Callable[[], Record | None], must_save: bool = False) -> None:
        """
        Args:
            read: returns the record. It is called on first access.
            must_save: whether a save that fails or is dropped raises an error. Otherwise, the
                response tells.
        """
        super().__init__()
        self.must_save = must_save
        self.cookie_is_stale = False
        self.cleared: Record | None = None  # what `clear` ends when the request does
        self.ends_unread = False  # whether it ends although nobody could read it
        self._read_record: Callable[[], Record | None] | None = read
        self._record: Record | None = None
        self._api_data: Values | None = None
        self._permanent: bool | None = None
        self.__class__ = _Unread

    @property
    def api_data(self) -> Values:
        """The session data of the API, to read and to change. Few requests need it, so only they
        decode it.

        Raises:
            SessionStoreUnavailable: Redis does not answer.
        """
        if self._api_data is None:
            self._api_data = Values(self.record.api_data if self.record else {})
        return self._api_data

    @property
    def record(self) -> Record | None:
        """The session in the store; None if there is none yet."""
        self.load()
        return self._record

    @property
    def owner(self) -> Owner | None:
        """The account that is signed in, or None."""
        return self.record.metadata.owner if self.record else None

    @property
    def sid(self) -> str | None:
        """The SHA-256 of the id, which the API calls the handle; None if there is no session in the
        store. Unlike the `sid` of Flask-Session, it signs nobody in, so it may be logged. It
        changes when the session gets a new id.
        """
        return self.record.id.digest if self.record else None

    @property
    def new(self) -> bool:  # type: ignore[override]
        """Whether the session is not in the store yet."""
        return self.record is None

    @property
    def loaded(self) -> bool:
        """Whether this request has read the session."""
        return self._read_record is None

    @property
    def permanent(self) -> bool:
        """Whether the session outlives the browser. It is no key of the dictionary."""
        if self._permanent is not None:
            return self._permanent
        return self.record is not None and self.record.metadata.remember

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self.load()
        self._permanent = bool(value)

    @property
    def becomes_permanent(self) -> bool | None:
        """What `permanent` changes to; None if it stays as it is."""
        if self._permanent is None:
            return None
        stored = self.record is not None and self.record.metadata.remember
        return None if self._permanent == stored else self._permanent

    @property
    def modified(self) -> bool:
        """Whether there is anything to save."""
        return self.loaded and (
            self.cleared is not None or any(self.changes()) or self.becomes_permanent is not None
        )

    @modified.setter
    def modified(self, value: bool) -> None:
        """True changes nothing, because every change is found. After False, what has changed so far
        is not saved, as in Flask; later changes are."""
        if not value and self.loaded:
            self.disregard_changes()
            self._permanent = None

    def changes(self) -> tuple[Change, Change]:
        """What differs from the store in `flask.session`, and in the API's data.

        Raises:
            TypeError: a key or a value cannot be stored.
        """
        self.load()
        api_data = UNCHANGED if self._api_data is None else self._api_data.change()
        return self.change(), api_data

    def replace_record(self, record: Record | None) -> None:
        """Continue with another record: that of a sign-in, or None after a sign-out."""
        self.ends_unread = record is None and self._record is None
        self._become_read()
        self._continue(record)
        self.cookie_is_stale = True

    def continue_within(self, record: Record) -> None:
        """Continue with the same record, which has other limits from now on."""
        self._record, self._permanent = record, None
        self.cookie_is_stale = True

    def load(self) -> None:
        """Read the session, unless this request has done so.

        Raises:
            SessionStoreUnavailable: Redis does not answer.
        """
        if self._read_record is not None:
            record = self._read_record()
            self._become_read()
            self._continue(record)

    def _become_read(self) -> None:
        self._read_record = None
        self.__class__ = Session

    def _continue(self, record: Record | None) -> None:
        self._record = record
        self._api_data = None
        self._permanent = None
        self.continue_with(record.fields if record else {})

    def __setitem__(self, key: str, value: Any) -> None:
        """Set a key.

        Raises:
            TypeError: the key is not a string, or the value would not come back equal and of the
                same type. The view that sets it gets the error, instead of the end of the request.
        """
        encode(key, value)
        super().__setitem__(key, value)

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

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of a key, which is set to `default` if it is missing. Raises what setting it
        does."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(  # type: ignore[override]
        self, *others: Mapping[str, Any] | Iterable[tuple[str, Any]], **named: Any
    ) -> None:
        """Set many keys, or none if one of them cannot be set. Raises what setting one does."""
        new = dict(*others, **named)
        for key, value in new.items():
            encode(key, value)
        super().update(new)

    def __ior__(self, other: Any) -> Session:  # type: ignore[override, misc]
        """`update`, as an operator."""
        self.update(other)
        return self

    def __repr__(self) -> str:
        """The keys and values, without the id."""
        return f"<{type(self).__name__} {dict(self)!r}>"

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Copies and pickles are plain dictionaries: they hold neither the id nor the record."""
        return dict, (dict(self),)


class _Unread(Session):
    """A session that no view has used: whatever it is asked, it is read first. From then on, it is
    a `Session`, which is as fast as any `dict`.

    Code in C reads the contents of a `dict` past its methods. That is why Flask's mark that a view
    uses the session (`accessed`) reads it too: no view holds an unread one.
    """

    @property
    def accessed(self) -> bool:
        """Whether a view has used the session."""
        return False

    @accessed.setter
    def accessed(self, value: bool) -> None:
        self.__dict__["accessed"] = value
        if value:
            self.load()


def _after_loading(name: str) -> Callable[..., Any]:
    method = getattr(Session, name)

    @wraps(method)
    def loading(self: _Unread, *args: Any, **named: Any) -> Any:
        self.load()
        return method(self, *args, **named)

    return loading


for _name in (
    *("__getitem__", "__setitem__", "__delitem__", "__contains__", "__iter__", "__reversed__"),
    *("__len__", "__eq__", "__ne__", "__or__", "__ror__", "__ior__", "__repr__", "__reduce_ex__"),
    *("get", "keys", "values", "items", "copy", "pop", "popitem", "clear", "setdefault", "update"),
    *("encoded", "change", "disregard_changes"),
):
    setattr(_Unread, _name, _after_loading(_name))
