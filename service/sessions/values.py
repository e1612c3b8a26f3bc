"""Which values a session can hold, and how the store holds them: as msgpack, in which extension
types stand for what msgpack lacks. A value comes back equal and of the same type, or cannot be
stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from markupsafe import Markup
from msgspec import Raw
from msgspec.msgpack import Ext

MOST_LEVELS = 64  # of containers in containers; Python itself fails at a few hundred

# What msgpack keeps as it is. An integer beyond 64 bits makes the encoder fail; only then does a
# second attempt look at each one.
PLAIN = frozenset({type(None), bool, str, bytes, int})
PLAIN_BUT_INTEGERS = PLAIN - {int}
STRINGS = frozenset({str})
LEAST, MOST = -(2**63), 2**64 - 1  # integers of msgpack

# Extension codes are part of the format in Redis: add new ones, and never change these.
TUPLE, SET, FROZENSET, MAPPING, INTEGER, BYTEARRAY, DATETIME = 1, 2, 3, 4, 5, 6, 7
DATE, TIME, TIMEDELTA, UUID_, DECIMAL, MARKUP = 8, 9, 10, 11, 12, 13

# What `decode` raises if another program or version has written the bytes, or nobody sensible.
UNREADABLE = (msgspec.MsgspecError, ValueError, TypeError, ArithmeticError, RecursionError)

_pack = msgspec.msgpack.Encoder().encode


def encode(value: object) -> bytes:
    """A value as the store holds it; the same bytes in every process.

    Raises:
        TypeError: it would not come back equal and of the same type.
    """
    try:
        try:
            return _pack(value if type(value) in PLAIN else _packable(value, PLAIN, 0))
        except OverflowError:
            return _pack(_packable(value, PLAIN_BUT_INTEGERS, 0))
    except UnicodeEncodeError:
        raise TypeError("a string is no text: it has a lone surrogate") from None


def still_means(stored: bytes, value: object, encoded: bytes | None) -> bool:
    """Whether `stored`, which an earlier version may have encoded in another way, is this value.

    Args:
        encoded: the value as `encode` returns it; None if it cannot be stored any more.
    """
    if type(value) in PLAIN:
        return False  # every version encodes it in the same way
    try:
        return encode(decode(stored)) == encoded
    except TypeError:
        if encoded is not None:
            return False
    try:
        return _pack(value) == stored
    except (TypeError, ValueError, OverflowError, RecursionError):
        return False


def _packable(value: Any, plain: frozenset[type], level: int) -> Any:
    """The value if msgpack keeps it as it is, otherwise what stands for it."""
    kind = type(value)
    if kind in plain:
        return value
    stand_in = _STAND_INS.get(kind)
    if stand_in is None:
        raise TypeError(_refusal(kind))
    if level > MOST_LEVELS:
        raise TypeError(f"it is nested more than {MOST_LEVELS} levels deep, or contains itself")
    return stand_in(value, plain, level)


def _refusal(kind: type) -> str:
    for base in kind.__mro__[1:]:
        if base in PLAIN or base in _STAND_INS:
            return f"{kind.__name__} would come back as {base.__name__}; convert it first"
    return f"{kind.__name__} is no type that a session can hold"


def _all(values: Iterable[Any], plain: frozenset[type], level: int) -> list[Any]:
    return [_packable(value, plain, level + 1) for value in values]


def _list(value: list[Any], plain: frozenset[type], level: int) -> list[Any]:
    return value if plain.issuperset(map(type, value)) else _all(value, plain, level)


def _dict(value: dict[Any, Any], plain: frozenset[type], level: int) -> Any:
    if not STRINGS.issuperset(map(type, value)):
        pairs = [part for pair in value.items() for part in pair]
        return Ext(MAPPING, _pack(_all(pairs, plain, level)))
    if plain.issuperset(map(type, value.values())):
        return value
    return dict(zip(value, _all(value.values(), plain, level), strict=True))


def _tuple(value: tuple[Any, ...], plain: frozenset[type], level: int) -> Ext:
    return Ext(TUPLE, _pack(_all(value, plain, level)))


def _set(value: Iterable[Any], plain: frozenset[type], level: int) -> Ext:
    # In order, because that of a set differs between processes.
    code = SET if type(value) is set else FROZENSET
    return Ext(code, _pack([Raw(item) for item in sorted(map(_pack, _all(value, plain, level)))]))


def _float(value: float, *_: Any) -> float:
    if value != value:
        raise TypeError("NaN is not equal to anything, so it cannot come back equal")
    return value


def _integer(value: int, *_: Any) -> Any:
    if LEAST <= value <= MOST:
        return value
    return Ext(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _decimal(value: Decimal, *_: Any) -> Ext:
    if value.is_nan():
        raise TypeError("NaN is not equal to anything, so it cannot come back equal")
    return Ext(DECIMAL, str(value).encode())


def _datetime(value: datetime, *_: Any) -> Ext:
    naive = value.replace(tzinfo=None, fold=0).isoformat()
    return Ext(DATETIME, _pack([naive, value.fold, *_offset(value.tzinfo)]))


def _time(value: time, *_: Any) -> Ext:
    naive = value.replace(tzinfo=None, fold=0).isoformat()
    return Ext(TIME, _pack([naive, value.fold, *_offset(value.tzinfo)]))


def _offset(zone: tzinfo | None) -> list[Any]:
    """The time zone, if it is an offset from UTC: microseconds, and its name if that is special."""
    if zone is None:
        return []
    if type(zone) is not timezone:
        raise TypeError("its time zone is no fixed offset; convert it, as with astimezone(UTC)")
    offset, name = zone.utcoffset(None), zone.tzname(None)
    microseconds = offset // timedelta(microseconds=1)
    return [microseconds] if timezone(offset).tzname(None) == name else [microseconds, name]


def _zone(microseconds: int, *name: str) -> timezone:
    return timezone(timedelta(microseconds=microseconds), *name)


def _timedelta(value: timedelta, *_: Any) -> Ext:
    return Ext(TIMEDELTA, _pack([value.days, value.seconds, value.microseconds]))


_STAND_INS: Mapping[type, Callable[[Any, frozenset[type], int], Any]] = {
    list: _list,
    dict: _dict,
    tuple: _tuple,
    set: _set,
    frozenset: _set,
    float: _float,
    int: _integer,
    bytearray: lambda value, *_: Ext(BYTEARRAY, bytes(value)),
    datetime: _datetime,
    date: lambda value, *_: Ext(DATE, value.isoformat().encode()),
    time: _time,
    timedelta: _timedelta,
    UUID: lambda value, *_: Ext(UUID_, value.bytes),
    Decimal: _decimal,
    Markup: lambda value, *_: Ext(MARKUP, value.encode()),
}


def _read_datetime(data: memoryview) -> datetime:
    naive, fold, *offset = decode(data)
    zone = _zone(*offset) if offset else None
    return datetime.fromisoformat(naive).replace(fold=fold, tzinfo=zone)


def _read_time(data: memoryview) -> time:
    naive, fold, *offset = decode(data)
    zone = _zone(*offset) if offset else None
    return time.fromisoformat(naive).replace(fold=fold, tzinfo=zone)


def _read_mapping(data: memoryview) -> dict[Any, Any]:
    parts = decode(data)
    return dict(zip(parts[::2], parts[1::2], strict=True))


_READERS: Mapping[int, Callable[[memoryview], Any]] = {
    TUPLE: lambda data: tuple(decode(data)),
    SET: lambda data: set(decode(data)),
    FROZENSET: lambda data: frozenset(decode(data)),
    MAPPING: _read_mapping,
    INTEGER: lambda data: int.from_bytes(data, "big", signed=True),
    BYTEARRAY: bytearray,
    DATETIME: _read_datetime,
    DATE: lambda data: date.fromisoformat(str(data, "ascii")),
    TIME: _read_time,
    TIMEDELTA: lambda data: timedelta(*decode(data)),
    UUID_: lambda data: UUID(bytes=bytes(data)),
    DECIMAL: lambda data: Decimal(str(data, "ascii")),
    MARKUP: lambda data: Markup(str(data, "utf-8")),  # noqa: S704 - it was Markup before
}


def _read(code: int, data: memoryview) -> Any:
    if code not in _READERS:
        raise ValueError(f"extension type {code}")
    return _READERS[code](data)


# The value that `encode` got. Nothing is imported, and nothing unpickled.
decode: Callable[[bytes | memoryview], Any] = msgspec.msgpack.Decoder(ext_hook=_read).decode
