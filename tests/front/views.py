"""A WSGI application with one view for each thing that a server can get wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.conditions import eventually

Start = Callable[..., Callable[[bytes], object]]

BIG = 5_000_000  # bytes, more than is collected
calls: Counter[str] = Counter()
TEXT = ("Content-Type", "text/plain")


def application(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    """Calls the view that the first segment of the path names."""
    _, name, *_ = environ["PATH_INFO"].split("/")
    calls[name] += 1
    return VIEWS.get(name, echo)(environ, start)


def echo(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    """What arrived."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    seen = {key: value for key, value in environ.items() if isinstance(value, str)}
    return whole(start, {**seen, "body": body.decode("latin-1")})


def whole(start: Start, document: object) -> Iterable[bytes]:
    data = json.dumps(document).encode()
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return [data]


def counted(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    return whole(start, calls)


def wait(environ: dict[str, Any]) -> None:
    """Until the file is there that the query string names."""
    eventually(Path(environ["QUERY_STRING"]).exists, within=20)


def hold(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    wait(environ)
    return whole(start, "held")


def stream(environ: dict[str, Any], start: Start) -> Iterator[bytes]:
    start("200 OK", [TEXT])
    yield b""
    yield b"first"
    wait(environ)
    yield b"last"


def write(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    say = start("200 OK", [TEXT])
    say(b"one ")
    say(b"two ")
    return [b"three"]


def write_only(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    start("200 OK", [TEXT, ("Content-Length", "4")])(b"only")
    return []


class Closing:
    """An iterable that counts how often it is closed, for each path."""

    def __init__(self, environ: dict[str, Any], pieces: Iterator[bytes]) -> None:
        self._path, self._pieces = environ["PATH_INFO"], pieces

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        calls[f"close {self._path}"] += 1


def closing(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    start("200 OK", [TEXT])
    return Closing(environ, iter([b"closing"]))


def closing_broken(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    def pieces() -> Iterator[bytes]:
        yield b"begun"
        raise ValueError("secret of the view")

    start("200 OK", [TEXT])
    return Closing(environ, pieces())


def big(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    start("200 OK", [TEXT, ("Content-Length", str(BIG))])
    return (b"x" * 50_000 for _ in range(BIG // 50_000))


def big_stream(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    start("200 OK", [TEXT])
    return Closing(environ, (b"x" * 50_000 for _ in range(BIG // 50_000)))


def endless(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    """As good as: it takes longer than any test."""

    def pieces() -> Iterator[bytes]:
        for _ in range(500_000):
            yield b"piece "

    start("200 OK", [TEXT])
    return Closing(environ, pieces())


def body_of_a_head(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    """WSGI leaves it to the server to drop it."""
    start("200 OK", [TEXT, ("Content-Length", "9")])
    return [b"not ", b"to be"]


def fail(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    raise ValueError("secret of the view")


def fail_midway(environ: dict[str, Any], start: Start) -> Iterator[bytes]:
    start("200 OK", [TEXT])
    yield b"begun"
    raise ValueError("secret of the view")


def start_twice(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    start("200 OK", [TEXT])
    error = ValueError("secret of the view")
    start("418 I'm a teapot", [TEXT], (ValueError, error, None))
    return [b"short and stout"]


def no_content(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    start("204 No Content", [])
    return []


def split(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    start("200 OK", [("X-Split", "a\r\nX-Injected: b"), ("Content-Length", "0")])
    return []


def two_cookies(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    cookies = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Latin", "caf\xe9")]
    start("200 OK", [*cookies, ("Content-Length", "0")])
    return []


VIEWS: dict[str, Callable[[dict[str, Any], Start], Iterable[bytes]]] = {
    view.__name__: view
    for view in (
        counted, hold, stream, write, write_only, closing, closing_broken, big, big_stream, endless,
        body_of_a_head, fail, fail_midway, start_twice, no_content, split, two_cookies,
    )
}  # fmt: skip
