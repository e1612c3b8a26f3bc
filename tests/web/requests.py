"""Requests of at most 16 KiB that are slow to read, and strategies that look for slower ones."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_from_bytes

from hypothesis import strategies as st

from tests.passwords import PASSWORD

LARGEST = 16 * 1024  # bytes of a whole request
LONGEST_LINE, LONGEST_FIELD = 4094, 8190  # as in gunicorn.conf.py
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=a"

# Repeated until there is no room: what parsers of names, passwords and headers stumble over.
TEXTS = [
    "a",
    "1",
    "\u0661",  # Arabic digits: PRECIS looks at all of them for each one
    "\u06f1",
    "a\u0301",
    "\u0301\u0316",
    "\uac00\u11a8",
    "\u1100\u1161\u11a8",
    "\ufdfa",  # 18 characters once it is normalized
    "\u30a2\u30fb",
    "l\u00b7l",
    "\u0915\u094d\u200d",
    "\u05d0",
    "\u6f22\u0061\u044f",
    "\U0001faef",
    "\x00",
    "\ud800",
    "%",
    "<",
    "4@8({[<369&#!17|0$5+7%2",
    "12",
    "password",
    "\\",
    " ",
]
FIELDS = [
    *("a=b; ", "; ", "session=", 'a="\\"', '"', ",", ";", " ", "\t", "=", "(", "\\"),
    *("a/b;q=0.1,", "text/html;a=b;", "*/*,", "a;q=0.1,", "a/b;x*0=", "a/b;x*=a'b'c;", 'x="\\"";'),
    *('"a",', 'W/"a",', "0-1,", "bytes=0-1,", "1.1.1.1,", "::1,", "[", "http://", "Mon, "),
    *("Mozilla/5.0 ", "Android ", "Build/", "; wv) ", "iPhone OS 1_1_", "bot", "crawler", "-", "/"),
]
HEADERS = [
    *("Cookie", "User-Agent", "Accept", "Accept-Language", "Accept-Encoding", "Content-Type"),
    *("Idempotency-Key", "If-None-Match", "If-Modified-Since", "If-Match", "Range", "If-Range"),
    *("Authorization", "Origin", "Sec-Fetch-Site", "X-Forwarded-For", "Host", "Cache-Control"),
]
NAMES = ["username", "password", "current_password", "new_password", "idempotency_key", "next"]


@dataclass(frozen=True)
class Request:
    """What differs between requests to one address. `query` and `argument` are percent-encoded."""

    argument: str = "x"  # of a path that has one
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    mimetype: str = JSON


def filled(unit: str, size: int) -> str:
    """`unit`, repeated up to `size` characters."""
    return (unit * (size // len(unit) + 1))[:size]


def as_json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def with_names(text: str) -> Request:
    """Every member that some view reads has this value."""
    return Request(body=as_json(dict.fromkeys(NAMES, text))[:LARGEST])


def in_a_form(text: str) -> Request:
    value = quote_from_bytes(text.encode("utf-8", "surrogatepass"))
    return Request(body="&".join(f"{n}={value}" for n in NAMES).encode(), mimetype=FORM)


def in_the_address(text: str) -> Request:
    value = quote(text.encode("utf-8", "replace"))[: LONGEST_LINE // 2]
    return Request(argument=value, query=f"before={value}&next={value}")


def with_header(name: str, value: str) -> Request:
    return Request(headers={name: value.encode("latin-1", "replace").decode("latin-1")})


PART = b'--a\r\nContent-Disposition: form-data; name="username"\r\n'
KNOWN_ADDRESSES = [in_the_address(filled(unit, size)) for unit in TEXTS for size in (128, 600)]
KNOWN_HEADERS = [with_header(name, filled(unit, LARGEST)) for name in HEADERS for unit in FIELDS]
KNOWN_BODIES = [
    *(with_names(filled(unit, 128)) for unit in TEXTS),
    *(in_a_form(filled(unit, 128)) for unit in TEXTS),
    *(
        Request(body=as_json({"username": "bob", "password": filled(unit, size)}))
        for unit in TEXTS
        for size in (256, 2600)
    ),
    Request(body=as_json({"username": "bob", "password": "\u0661" * 8150})),
    *(
        Request(body=as_json({"current_password": PASSWORD, "new_password": filled(unit, 256)}))
        for unit in TEXTS
    ),
    Request(body=b'{"a":' * 2700 + b"1" + b"}" * 2700),
    Request(body=b"[" * LARGEST),
    Request(body=as_json({f"{number}": {} for number in range(1600)})),
    Request(body=b'{"a":' + b"9" * 4300 + b"}"),
    Request(body=b'{"a":[' + b",".join([b"9" * 4200 + b".0e9"] * 3) + b"]}"),
    Request(body=b'{"password":"' + b"\\u0661" * 2600 + b'"}'),
    *(Request(body=unit * (LARGEST // len(unit)), mimetype=FORM) for unit in (b"a=1&", b"&", b"%")),
    *(
        Request(body=head + unit * ((LARGEST - len(head)) // len(unit)), mimetype=MULTIPART)
        for head in (b"", PART, PART + b"\r\n")
        for unit in (b"--a\r\n", b"\r\n--a\r\n", b"\r\n--a", b"\r", b"\n", b"a;", b" \t", b'="\\')
    ),
]

TEXT = st.builds(filled, st.sampled_from(TEXTS) | st.text(min_size=1, max_size=4), st.just(400))
FIELD = st.builds(
    filled,
    st.sampled_from(FIELDS) | st.text(st.characters(max_codepoint=255), min_size=1, max_size=6),
    st.just(LONGEST_FIELD),
)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=20,
)
REQUESTS = (
    st.builds(with_names, TEXT)
    | st.builds(in_a_form, TEXT)
    | st.builds(in_the_address, TEXT)
    | st.builds(with_header, st.sampled_from(HEADERS), FIELD)
    | st.builds(lambda document: Request(body=as_json({"a": document})[:LARGEST]), DOCUMENTS)
    | st.builds(
        lambda piece, kind: Request(body=(piece * LARGEST)[:LARGEST], mimetype=kind),
        st.binary(min_size=1, max_size=8),
        st.sampled_from([JSON, FORM, MULTIPART]),
    )
)
