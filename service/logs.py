"""Log lines: one form for our own and for the libraries'. Nothing that logs waits for a reader."""

from __future__ import annotations

import logging
import os
import select
import stat
from contextlib import suppress

import structlog

STDOUT, STDERR = 1, 2
LONGEST_PATH = 512  # characters; even if JSON needs four bytes for each, a line fits into ROOM
ROOM = select.PIPE_BUF  # bytes that a pipe which is ready takes whole

log = structlog.get_logger()


class Output:
    """A descriptor to write lines to, as far as its reader keeps up. Not thread-safe."""

    def __init__(self, descriptor: int = STDOUT) -> None:
        self._descriptor, self._own = descriptor, -1
        with suppress(OSError):
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                # Another process may fill the pipe after the poll. Opened anew, it does not block
                # us, and still blocks others.
                flags = os.O_WRONLY | os.O_NONBLOCK
                self._descriptor = self._own = os.open(f"/proc/self/fd/{descriptor}", flags)
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLOUT)

    def __del__(self) -> None:
        if self._own != -1:
            os.close(self._own)

    def write(self, chunk: bytes) -> bool:
        """Write up to ROOM bytes, and return whether they could be written without waiting.

        Raises:
            OSError: they will never be read.
        """
        try:
            return bool(self._poll.poll(0) and os.write(self._descriptor, chunk))
        except BlockingIOError:
            return False


class Handler(logging.Handler):
    """Writes log lines, and drops those that would have to wait; later, it logs how many."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._output = Output(descriptor)
        self._lost, self._is_cut = 0, False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; logging calls this from one thread at a time."""
        try:
            text = "\n" * self._is_cut + self.format(record) + "\n"
            if not self._is_written(text.encode(errors="backslashreplace")):
                self._lost += 1
            elif self._lost:
                lost, self._lost = self._lost, 0
                log.warning("log_lines_lost", lines=lost)
                if self._lost:  # not even this line could be written
                    self._lost = lost
        except Exception:  # noqa: BLE001 (as in every handler)
            self.handleError(record)

    def _is_written(self, line: bytes) -> bool:
        for start in range(0, len(line), ROOM):
            try:
                written = self._output.write(line[start : start + ROOM])
            except OSError:
                written = False
            if not written:
                self._is_cut |= start > 0
                return False
        self._is_cut = False
        return True


def configure(form: str, level: str, descriptor: int = STDOUT) -> None:
    """Send every log line to `descriptor`.

    Args:
        form: "json" for machines, "console" for people.
        level: the least severity that is logged.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,  # without local variables: they hold passwords
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=os.isatty(descriptor))
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = Handler(descriptor)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _made_visible,
                renderer,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


def follow_application() -> None:
    """Send our log lines to Python's logging, whose handlers are the application's own, unless it
    has set up structlog. Structlog's own default may print local variables, such as passwords."""
    if not structlog.is_configured():
        structlog.configure(
            processors=[
                structlog.stdlib.filter_by_level,
                structlog.stdlib.render_to_log_kwargs,
            ],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
            cache_logger_on_first_use=True,
        )


def loggable(path: str) -> str:
    """A request's path as far as it may be logged, in characters that a terminal shows and does not
    obey. A target that is not a path may contain a login, and what follows a # may be a token."""
    if not path.startswith("/"):
        return "*"
    return visible(path.partition("#")[0][:LONGEST_PATH])[:LONGEST_PATH]


def visible(text: str) -> str:
    """`text` with an escape for each character that is neither visible nor a space."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def _made_visible(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Only a traceback may have several lines."""
    for name, value in event.items():
        if isinstance(value, str):
            lines = value.split("\n") if name == "exception" else [value]
            event[name] = "\n".join(map(visible, lines))
    return event
