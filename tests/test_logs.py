from __future__ import annotations

import json
import logging
import os
import select
import threading
from collections.abc import Iterator

import pytest
import structlog

from service import logs
from tests.pipes import Pipe

log = structlog.get_logger()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe(room=8192)
    logs.configure("json", "info", pipe.writer)
    yield pipe
    logging.root.handlers.clear()
    pipe.close()


def test_a_reader_that_stalls_holds_up_no_thread_and_learns_what_it_has_missed(pipe: Pipe) -> None:
    fillers = pipe.fill()
    threads = [
        threading.Thread(target=lambda: [log.info("missed") for _ in range(25)], daemon=True)
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert len(pipe.received()) == fillers
    log.info("after")
    after, lost = pipe.received()[fillers:]
    assert after["event"] == "after"
    assert (lost["event"], lost["lines"]) == ("log_lines_lost", 100)


def test_a_pipe_that_another_process_fills_after_the_poll_blocks_nobody(pipe: Pipe) -> None:
    class Late:
        def poll(self, _: int) -> list[tuple[int, int]]:
            return [(pipe.writer, select.POLLOUT)]

    output = logs.Output(pipe.writer)
    output._poll = Late()
    pipe.fill()
    assert not output.write(b"x" * 100)
    assert os.get_blocking(pipe.writer), "others rely on it"


def test_a_line_longer_than_what_fits_at_once_arrives_whole() -> None:
    pipe = Pipe(room=65536)
    logs.configure("json", "info", pipe.writer)
    log.info("x" * 3 * logs.ROOM)
    assert [len(line["event"]) for line in pipe.received()] == [3 * logs.ROOM]
    pipe.close()


def test_a_line_of_which_only_the_beginning_fits_does_not_spoil_the_next(pipe: Pipe) -> None:
    log.info("x" * 3 * logs.ROOM)
    os.read(pipe.reader, 65536)
    log.info("after")
    end_of_cut, after, lost = os.read(pipe.reader, 65536).splitlines()
    assert end_of_cut == b""
    assert json.loads(after)["event"] == "after"
    assert json.loads(lost)["lines"] == 1


def test_a_reader_that_is_gone_ends_nothing(pipe: Pipe) -> None:
    pipe.leave()
    log.info("unread")


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_a_client_sent_does_not_command_a_terminal(form: str) -> None:
    pipe = Pipe(room=65536)
    logs.configure(form, "info", pipe.writer)
    hostile = "\x9b31m\u202e\x7f\x1b[2J\nforged"
    log.info("said", origin=hostile)
    logging.getLogger("library").warning("said %s", hostile)
    log.error("failed", exc_info=ValueError(hostile))
    text = os.read(pipe.reader, 65536).decode()
    pipe.close()
    assert all(line.isprintable() for line in text.splitlines())
    assert "\nforged" not in text.partition("ValueError")[0]
