from __future__ import annotations

import asyncio
import json
import os
import select
from collections.abc import Iterator
from contextlib import suppress

import pytest

from service import logs
from service.front import request_log
from service.front.request_log import RequestLog
from tests.loops import eventually, on_loop, turns
from tests.pipes import Pipe


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def note(log: RequestLog, path: str = "/login", status: int = 200) -> None:
    log.note("GET", path, status, 123, 0.0042)


@on_loop
async def test_a_line_says_what_was_asked_and_answered(pipe: Pipe) -> None:
    log = RequestLog(pipe.writer)
    note(log)
    await turns()
    assert pipe.received() == [
        {
            "event": "request",
            "method": "GET",
            "path": "/login",
            "status": 200,
            "bytes": 123,
            "ms": 4.2,
            "pid": os.getpid(),
        }
    ]


@on_loop
async def test_a_request_that_never_reached_the_application_has_a_reason(pipe: Pipe) -> None:
    log = RequestLog(pipe.writer)
    log.note("", "", 408, 0, 0.0, "The request did not arrive in time.")
    await turns()
    [line] = pipe.received()
    assert (line["status"], line["reason"]) == (408, "The request did not arrive in time.")


@on_loop
async def test_a_probe_is_worth_a_line_only_if_it_fails(pipe: Pipe) -> None:
    log = RequestLog(pipe.writer)
    for path in ("/healthz", "/readyz", "/metrics"):
        note(log, path)
        note(log, path, status=503)
    await turns()
    assert [line["status"] for line in pipe.received()] == [503] * 3


@pytest.mark.parametrize(
    "path",
    [
        "/a\n{}",
        "/a\r\n",
        "/a\u2028\u0085\x0b\x0c\x1e",
        '/"quoted"\\',
        "/\x1b[2Jescape",
        "/nul\0",
        "/caf\xe9",
        "/\x9b31mEVIL\u202etxt\x7f\U000e0001",
    ],
    ids=ascii,
)
@on_loop
async def test_whatever_is_in_a_path_stays_one_line_that_a_terminal_only_shows(
    pipe: Pipe, path: str
) -> None:
    log = RequestLog(pipe.writer)
    note(log, path)
    note(log, "/next")
    await turns()
    first, second = pipe.received()
    assert first["path"].startswith("/")
    assert first["path"].isprintable()
    assert second["path"] == "/next"


@on_loop
async def test_a_long_path_is_cut(pipe: Pipe) -> None:
    log = RequestLog(pipe.writer)
    note(log, "/" + "\n" * 100_000)
    await turns()
    [line] = pipe.received()
    assert len(line["path"]) == logs.LONGEST_PATH


@on_loop
async def test_lines_of_one_turn_of_the_loop_go_out_together(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: written.append(len(data)) or write(fd, data))
    log = RequestLog(pipe.writer)
    for _ in range(10):
        note(log)
    assert written == []
    await turns()
    assert len(written) == 1
    assert len(pipe.received()) == 10


@on_loop
async def test_a_reader_that_stops_does_not_hold_up_the_loop_and_loses_nothing_if_it_returns(
    pipe: Pipe,
) -> None:
    log = RequestLog(pipe.writer)
    fillers = pipe.fill()
    loop = asyncio.get_running_loop()
    for number in range(1000):
        started = loop.time()
        note(log, f"/{number}")
        await asyncio.sleep(0)
        assert loop.time() - started < 0.5
    lines = await eventually(lambda: len(pipe.received()) >= fillers + 1000 and pipe.received())
    paths = [line["path"] for line in lines if line["event"] == "request"]
    assert paths == [f"/{number}" for number in range(1000)]


@on_loop
async def test_the_longest_line_fits_into_a_pipe_that_is_ready(pipe: Pipe) -> None:
    """A longer write would block the whole loop until the reader reads."""
    log = RequestLog(pipe.writer)
    # Four bytes each, and as many as a request line has room for.
    note(log, "/" + "\N{FOX FACE}" * 1364)
    os.set_blocking(pipe.writer, False)
    await turns()
    [line] = pipe.received()
    assert line["path"].startswith("/\N{FOX FACE}")


@on_loop
async def test_a_reader_that_is_slow_gets_every_line_whole(pipe: Pipe) -> None:
    log = RequestLog(pipe.writer)
    received = b""
    for number in range(300):
        note(log, f"/{number}" + "x" * (number % 90))
        await asyncio.sleep(0)
        if select.select([pipe.reader], [], [], 0)[0]:
            received += os.read(pipe.reader, 777)

    def more() -> bool:
        nonlocal received
        with suppress(BlockingIOError):
            received += os.read(pipe.reader, 777)
        return received.count(b"\n") == 300

    await eventually(more)
    paths = [json.loads(line)["path"].rstrip("x") for line in received.splitlines()]
    assert paths == [f"/{number}" for number in range(300)]


@on_loop
async def test_a_limited_number_of_lines_is_kept_and_the_others_are_counted(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_log, "MOST_KEPT", 100)
    log = RequestLog(pipe.writer)
    fillers = pipe.fill()
    for number in range(150):
        note(log, f"/{number}")
    await turns()
    lines = await eventually(lambda: len(pipe.received()) >= fillers + 100 and pipe.received())
    note(log, "/after")
    lines = await eventually(
        lambda: pipe.received()[-1].get("path") == "/after" and pipe.received()
    )
    assert [line["path"] for line in lines if line["event"] == "request"] == [
        *(f"/{number}" for number in range(100)),
        "/after",
    ]
    assert [line["lines"] for line in lines if line["event"] == "request_log_lost"] == [50]


@on_loop
async def test_a_reader_that_is_gone_ends_nothing_and_no_lines_are_kept_for_it(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[int] = []
    write = os.write
    monkeypatch.setattr(
        os, "write", lambda fd, data: attempts.append(data.count(b"\n")) or write(fd, data)
    )
    log = RequestLog(pipe.writer)
    pipe.leave()
    for _ in range(10):
        note(log)
        await turns()
    assert len(attempts) == 10
    assert max(attempts) <= 2  # the latest, and how many were lost before


@on_loop
async def test_what_is_left_is_written_at_the_end(pipe: Pipe) -> None:
    log = RequestLog(pipe.writer)
    note(log)
    log.flush()
    assert len(pipe.received()) == 1
