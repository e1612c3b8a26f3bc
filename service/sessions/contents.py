"""What a session holds, in two namespaces: the keys of `flask.session`, which only the views of the
application write, and those of the API's session data, which clients write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from service.errors import SessionTooLarge
from service.sessions import keys
from service.sessions.record import Owner

KIB = 1024

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


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
