"""What a session holds, in two namespaces: the keys of `flask.session`, which only the views of the
application write, and those of the API's session data, which clients write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from service.errors import SessionTooLarge

KIB = 1024

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Capacity(NamedTuple):
    """How much a namespace of one session may hold."""

    keys: int
    size: int  # bytes of the keys, in UTF-8, and of the encoded values

    def check(self, written: Mapping[str, bytes]) -> None:
        """Reject what is too much even for an empty session; save.lua adds what is stored.

        Raises:
            SessionTooLarge: these keys and encoded values are too many or too large.
        """
        if len(written) > self.keys or self.size < sum(
            len(key.encode()) + len(value) for key, value in written.items()
        ):
            raise SessionTooLarge(*self)


FLASK_CAPACITY = Capacity(1024, 64 * KIB)
DATA_CAPACITY = Capacity(128, 64 * KIB)
ANONYMOUS_DATA_CAPACITY = Capacity(16, 4 * KIB)


class Change(NamedTuple):
    """How a namespace differs from the store."""

    written: Mapping[str, bytes] = {}  # encoded
    removed: Sequence[str] = ()

    def __bool__(self) -> bool:
        """Whether it differs at all."""
        return bool(self.written or self.removed)


UNCHANGED = Change()


class Values(dict[str, Any]):
    """The keys and values of one namespace, and what the request has changed among them.

    Values may be anything that msgpack encodes. A change inside a nested value is found too,
    because the encoded values are compared with the bytes that were read.
    """

    def __init__(self, stored: Mapping[str, bytes]) -> None:
        """
        Args:
            stored: the keys and encoded values, as read.
        """
        super().__init__((key, _decode(value)) for key, value in stored.items())
        self._stored = stored

    def encoded(self) -> dict[str, bytes]:
        """Every key with its value as the store holds it.

        Raises:
            TypeError: a key is not a string, or a value cannot be encoded.
        """
        return {key: encode(key, value) for key, value in self.items()}

    def change(self) -> Change:
        """What differs from the store.

        Raises:
            TypeError: a key is not a string, or a value cannot be encoded.
        """
        encoded, stored = self.encoded(), self._stored
        if encoded == stored:  # after most requests
            return UNCHANGED
        written = {key: value for key, value in encoded.items() if stored.get(key) != value}
        return Change(written, [key for key in stored if key not in encoded])


def encode(key: object, value: object) -> bytes:
    """A value as the store holds it.

    Raises:
        TypeError: its key is not a string, or the value cannot be encoded.
    """
    if not isinstance(key, str):
        raise TypeError(f"a session key must be a string, not {type(key).__name__}")
    try:
        return _encode(value)
    except (TypeError, OverflowError, ValueError, RecursionError) as error:
        raise TypeError(f"session[{key!r}] cannot be stored: {error}") from error
