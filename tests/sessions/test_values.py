"""Which values a session can hold: each comes back equal and of the same type, or is rejected when
a view sets it."""

from __future__ import annotations

import collections
import enum
import math
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markupsafe import Markup, escape
from redis import Redis

from service.sessions import values
from service.sessions.record import NewSession
from service.sessions.rules import Limits, SessionRules
from service.sessions.session import Session
from service.sessions.store import SessionStore

LIFE = Limits(idle=1800, lifetime=43200)
INDIA = timezone(timedelta(hours=5, minutes=30))
ODD = timezone(-timedelta(hours=1, minutes=2, seconds=3, microseconds=4))


class Colour(enum.Enum):
    RED = 1


class Size(enum.IntEnum):
    BIG = 1


class Text(enum.StrEnum):
    HELLO = "hello"


class Lazy:
    """As translations are before somebody shows them."""

    def __html__(self) -> str:
        return "hello"

    def __str__(self) -> str:
        return "hello"


class OwnText(str):
    __slots__ = ()


class OwnZone(tzinfo):
    def utcoffset(self, _: datetime | None) -> timedelta:
        return timedelta(0)


Point = collections.namedtuple("Point", "x y")


@pytest.fixture
def store(redis: Redis) -> SessionStore:
    return SessionStore(redis, SessionRules(LIFE, LIFE), 50)


def session_with(store: SessionStore, value: object) -> Session:
    """A session that was read from the store after another had saved the value."""
    session = Session(lambda: None)
    session["value"] = value
    change, _ = session.changes()
    record = store.create(NewSession(), change.written)
    return Session(lambda: store.read(record.id))


def typed(value: object) -> Any:
    """The value with the types of all its parts, so that 1 differs from True and 1.0, and -0.0 from
    0.0."""
    kind = type(value)
    if kind in (list, tuple):
        return kind, tuple(map(typed, value))  # type: ignore[call-overload]
    if kind in (set, frozenset):
        return kind, frozenset(map(typed, value))  # type: ignore[call-overload]
    if kind is dict:
        return kind, tuple((typed(key), typed(each)) for key, each in value.items())  # type: ignore[attr-defined]
    if kind in (datetime, time):
        return kind, value, value.fold, value.tzname()  # type: ignore[attr-defined]
    if kind is bytearray:
        return kind, bytes(value)  # type: ignore[call-overload]
    return kind, value, hex(value) if kind is int else str(value)


VALUES = [
    *(None, True, False, 0, 1, -1, 2**63, -(2**63), 2**64 - 1, 2**64, -(2**63) - 1, 10**5000),
    *(0.0, -0.0, 1.5, 5e-324, math.inf, -math.inf),
    *("", "é", "\0", "𝄞", b"", b"\0\xff", bytearray(b"\0\xff")),
    *((), (1,), (1, (2, [3])), [], [(1, 2)], [1, "a", None, True, 2.5, b"x"], [2**70, -(2**70)]),
    *(set(), {1, 2}, {"a", b"a", (1, 2), None}, frozenset({frozenset({1})}), {1.5, -0.0}),
    *({}, {"a": {"b": [{"c": (1,)}]}}, {1: "a", None: 2, (1, 2): 3, b"x": 4, 2**70: 5, 1.5: 6}),
    *({"a": 1, 1: "a"}, {date(2020, 1, 1): 1}, {"big": 2**64}),
    datetime(2024, 2, 29, 12, 30, 59, 999999),
    datetime(1, 1, 1),
    datetime(2024, 10, 27, 2, 30, fold=1),
    datetime(2024, 2, 29, 12, 30, tzinfo=UTC),
    datetime(2024, 2, 29, 12, 30, tzinfo=INDIA),
    datetime(2024, 2, 29, 12, 30, tzinfo=ODD),
    datetime(2024, 2, 29, 12, 30, tzinfo=timezone(timedelta(hours=1), "CET")),
    *(date(1, 1, 1), date(9999, 12, 31), time(23, 59, 59, 999999), time(1, 2, tzinfo=INDIA)),
    *(timedelta.min, timedelta.max, timedelta(microseconds=-1)),
    UUID("12345678-1234-5678-1234-567812345678"),
    *(Decimal("1.10"), Decimal("-0"), Decimal("Infinity"), Decimal("1E+999999"), Decimal(10) ** -9),
    *(Markup("<b>bold</b>"), Markup(""), escape("<"), [Markup("<i>é</i>"), "<i>"]),
    [("message", "Saved"), ("error", Markup("<b>no</b>"))],  # as flash() does
]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_a_value_comes_back_equal_and_of_the_same_type(store: SessionStore, value: object) -> None:
    read = session_with(store, value)
    assert typed(read["value"]) == typed(value)
    assert not read.modified


REJECTED = [
    (object(), "object"),
    (Colour.RED, "Colour"),
    (Size.BIG, "Size would come back as int"),
    (Text.HELLO, "Text would come back as str"),
    (OwnText("a"), "OwnText would come back as str"),
    (Point(1, 2), "Point would come back as tuple"),
    (collections.OrderedDict(a=1), "OrderedDict would come back as dict"),
    (collections.defaultdict(list), "defaultdict would come back as dict"),
    (Lazy(), "Lazy"),
    (memoryview(b"a"), "memoryview"),
    (range(3), "range"),
    (1j, "complex"),
    (print, "function"),
    (int, "type"),
    (math.nan, "NaN"),
    (Decimal("NaN"), "NaN"),
    (Decimal("sNaN"), "NaN"),
    ("\ud800", "surrogate"),
    (Markup("\ud800"), "surrogate"),
    (datetime(2024, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")), "astimezone"),
    (datetime(2024, 1, 1, tzinfo=OwnZone()), "astimezone"),
    (time(1, tzinfo=ZoneInfo("Europe/Berlin")), "astimezone"),
    (msgspec.msgpack.Ext(1, b""), "Ext"),
]
WRAPPERS = [
    lambda value: value,
    lambda value: [value],
    lambda value: (1, value),
    lambda value: {"a": {"b": value}},
    lambda value: [2**70, value],
]


SETTING = [
    lambda session, value: session.__setitem__("key", value),
    lambda session, value: session.setdefault("key", value),
    lambda session, value: session.update({"other": 1}, key=value),
    lambda session, value: session.__ior__({"other": 1, "key": value}),
]


@pytest.mark.parametrize(("value", "reason"), REJECTED)
def test_any_other_value_is_rejected_when_it_is_set(value: object, reason: str) -> None:
    for wrapped in (wrap(value) for wrap in WRAPPERS):
        for set_key in SETTING:
            session = Session(lambda: None)
            with pytest.raises(TypeError, match=rf"session\['key'\] cannot be stored: .*{reason}"):
                set_key(session, wrapped)
            assert session == {}


@pytest.mark.parametrize("key", [1, None, b"key", ("a",), "\ud800"], ids=ascii)
def test_a_key_that_is_no_text_is_rejected(key: Any) -> None:
    session = Session(lambda: None)
    with pytest.raises(TypeError, match="key"):
        session[key] = 1
    assert session == {}


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def test_a_value_may_be_nested_so_deep_and_no_deeper(store: SessionStore) -> None:
    assert session_with(store, nested(values.MOST_LEVELS))["value"] == nested(values.MOST_LEVELS)
    with pytest.raises(TypeError, match="nested more than"):
        Session(lambda: None)["value"] = nested(values.MOST_LEVELS + 1)


def test_a_value_that_contains_itself_is_rejected() -> None:
    circle: list[Any] = []
    circle += [circle, circle]
    ring: dict[str, Any] = {}
    ring["ring"] = (ring,)
    for value in (circle, ring):
        with pytest.raises(TypeError, match="contains itself"):
            Session(lambda: None)["value"] = value


def test_equal_sets_have_the_same_bytes_in_every_process() -> None:
    """Otherwise, each worker would find a change in what another one wrote."""
    program = (
        "from service.sessions.values import encode;"
        "print(encode({'a', 'b', 'c', 'd', frozenset({'e', 'f', 'g'})}).hex())"
    )
    encoded = {
        subprocess.check_output([sys.executable, "-c", program], env={"PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    }
    assert len(encoded) == 1


atoms = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**200), 2**200)
    | st.floats()
    | st.text()
    | st.text(st.characters(codec=None), max_size=3)  # with lone surrogates
    | st.text().map(Markup)
    | st.binary(max_size=20)
    | st.datetimes(timezones=st.none() | st.timezones() | st.sampled_from([UTC, INDIA, ODD]))
    | st.dates()
    | st.times(timezones=st.none() | st.sampled_from([UTC, INDIA, ODD]))
    | st.timedeltas()
    | st.uuids()
    | st.decimals(allow_nan=False)
    | st.sampled_from([Colour.RED, Size.BIG, Text.HELLO, OwnText("a"), Lazy(), Point(1, 2)])
)
hashable = st.recursive(
    atoms.filter(lambda value: value == value),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
anything = st.recursive(
    atoms
    | hashable
    | st.just(Decimal("NaN"))
    | st.binary(max_size=20).map(bytearray)
    | st.sets(hashable, max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
        | st.dictionaries(hashable, inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(value=anything)
def test_whatever_a_view_sets_comes_back_equal_or_is_rejected(
    store: SessionStore, value: object
) -> None:
    before = typed(value)
    try:
        read = session_with(store, value)
    except TypeError:
        return
    assert typed(read["value"]) == before
    assert not read.modified


@settings(max_examples=500, deadline=None)
@given(data=st.binary(max_size=40))
def test_bytes_of_another_program_are_read_or_unreadable_and_nothing_else(data: bytes) -> None:
    for prefix in (b"", *(bytes([0xC7, len(data), code]) for code in range(15))):
        try:
            values.decode(prefix + data)
        except values.UNREADABLE:
            continue


def test_a_stranger_cannot_exhaust_the_stack_with_nested_extensions() -> None:
    data = b"\xc0"
    for _ in range(5000):
        data = (
            b"\xc8" + len(data).to_bytes(2, "big") + b"\x01" + data if len(data) < 65536 else data
        )
    with pytest.raises(values.UNREADABLE):
        values.decode(data)


def test_two_values_of_one_uuid_stay_apart(store: SessionStore) -> None:
    one = uuid4()
    assert session_with(store, [one, str(one), one.bytes])["value"] == [one, str(one), one.bytes]
