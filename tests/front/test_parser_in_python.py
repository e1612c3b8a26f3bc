"""A machine without a C compiler parses HTTP in Python: slower, and no less strict."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from tests.front.raw import ALIVE, Raw
from tests.front.test_hostile_http import MALFORMED, ONE
from tests.servers import Server, gunicorn

MOST_GROWTH = 16 * 1024 * 1024  # bytes


@pytest.fixture(scope="module")
def server(environ: dict[str, str]) -> Iterator[Server]:
    arguments = "-k tests.front.impatient.Worker --http-parser python"
    with (
        TemporaryDirectory(prefix="coatcheck-parser-") as directory,
        gunicorn(Path(directory), {**environ, "GUNICORN_CMD_ARGS": arguments}, workers=1) as server,
    ):
        yield server


@pytest.mark.parametrize("sent", [sent for sent, _ in MALFORMED.values()], ids=MALFORMED)
def test_what_is_wrong_is_rejected_without_the_parser_in_c(server: Server, sent: bytes) -> None:
    """Perhaps later, for want of a line's end: the limit on time ends it then."""
    with Raw(server.url) as raw:
        assert 400 <= raw.send(sent).response().status <= 501


def test_heads_of_moderate_size_are_accepted_without_the_parser_in_c(server: Server) -> None:
    with Raw(server.url) as raw:
        raw.send((ONE + b"x" * 20000) * 2)
        assert [raw.response().status for _ in range(2)] == [404] * 2


def test_a_client_that_pipelines_and_never_reads_fills_no_memory(server: Server) -> None:
    [worker] = map(psutil.Process, server.workers())
    before, sent = worker.memory_info().rss, 0
    with Raw(server.url, receive_buffer=4096) as raw:
        raw.socket.settimeout(1)
        with suppress(TimeoutError, ConnectionError):
            while sent < 2 * MOST_GROWTH:
                raw.send(ALIVE * 1000)
                sent += 1000 * len(ALIVE)
        assert worker.memory_info().rss - before < MOST_GROWTH
    assert sent < 2 * MOST_GROWTH
