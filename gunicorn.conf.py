"""gunicorn's settings. `gunicorn -c gunicorn.conf.py 'service:create_app()'`"""

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextvars import copy_context
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
from gevent import Greenlet, get_hub, getcurrent, monkey
from gevent.pool import Pool

# Before an application is preloaded: its locks would hold up a whole worker. All else is patched by
# the workers, after the fork; the master forks and waits for children as it was written to.
monkey.patch_thread()

# psycopg decides when it is imported, which may be before the workers are patched, whether to wait
# in C, where nothing else of a worker goes on. This one asks `select`, as it is by then.
os.environ["PSYCOPG_WAIT_FUNC"] = "wait_poll"

from gunicorn.glogging import Logger  # noqa: E402
from gunicorn.workers import ggevent  # noqa: E402

from config import ConfigurationError, load  # noqa: E402

MEMORY = "/dev/shm"  # noqa: S108
PROBES = ("/healthz", "/readyz", "/metrics")  # asked every few seconds; told when they fail
METRICS = "coatcheck-metrics-"
STDOUT = 1
IDLE = 64  # greenlets that a worker keeps for its next connections, at 16 KiB each
ENCODE = msgspec.json.Encoder().encode

try:
    settings = load()
except ConfigurationError as problem:
    # Said once by the master, before there are workers to fail over and over.
    sys.exit(f"Error: {problem}")


class RequestLog(Logger):
    """One line a request on standard output, without query string or headers: those may carry
    secrets."""

    def access(
        self,
        resp: Any,
        req: Any,  # noqa: ARG002
        environ: dict[str, Any],
        request_time: timedelta,
    ) -> None:
        if environ["PATH_INFO"] in PROBES and resp.status.startswith("200"):
            return
        line = {
            "event": "request",
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "status": int(resp.status[:3]),
            "bytes": resp.sent,
            "ms": round(request_time.total_seconds() * 1000, 1),
            "pid": os.getpid(),
        }
        # JSON also keeps a line break in a path from looking like a line of its own.
        try:
            os.write(STDOUT, ENCODE(line) + b"\n")  # the logging module would take 20 µs
        except OSError as problem:
            self.error("The request log cannot be written: %s", problem)

    def warning(self, msg: str, *args: Any, **kwargs: Any) -> None:
        # gunicorn quotes the header that it could not parse, which may be a cookie.
        if msg.startswith("Invalid request from "):
            msg = msg.partition(": ")[0]
        super().warning(msg, *args, **kwargs)


class Connections(Pool):
    """Greenlets that serve one connection after another.

    CPython maps memory for each new greenlet and unmaps it in the end, and both wait for a thread
    of the process that is mapping what it needs to hash a password: 40 ms at times, in which the
    worker answers nobody.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._idle: list[Greenlet] = []

    def spawn(self, function: Callable[..., None], *args: object) -> Greenlet:
        """Have `function(*args)` called, unless the pool is full."""
        if not self._idle:
            return super().spawn(self._serve, function, args)
        greenlet = self._idle.pop()
        greenlet.gr_context = copy_context()  # as a new one has
        self.add(greenlet)
        get_hub().loop.run_callback(greenlet.switch, function, args)
        return greenlet

    def _serve(self, function: Callable[..., None], args: tuple[object, ...]) -> None:
        greenlet = getcurrent()
        function(*args)
        while len(self._idle) < IDLE:
            self.discard(greenlet)
            self._idle.append(greenlet)
            function, args = get_hub().switch()
            function(*args)


bind = f"0.0.0.0:{settings.port}"
reuse_port = True  # a socket for each worker: from a shared one, one may take all connections
workers = settings.web_concurrency
worker_class = "gevent"
ggevent.Pool = Connections  # the worker asks for no other
preload_app = False  # every worker opens its own connections, after the fork
timeout = 30
graceful_timeout = 20
keepalive = 5
logger_class = RequestLog
control_socket_disable = True  # it would write below HOME
if os.access(MEMORY, os.W_OK):
    worker_tmp_dir = MEMORY  # the root file system may be read-only
if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:  # not yet: this file is read at each reload
    # All workers count here, so that any of them can tell the sums.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix=METRICS)


def pre_fork(server: Any, worker: Any) -> None:  # noqa: ARG001
    """Close what a preloaded application has opened: two processes would share it."""
    if server.app.callable is not None:
        _close(server.app.callable)


def post_worker_init(worker: Any) -> None:
    """Say what is wrong with the session store, to which nothing was connected before; and spare
    the collector what is here to stay: it took 50 ms, every few seconds under load."""
    from service.web.health import SESSION_REDIS, warn_of_eviction

    if SESSION_REDIS in getattr(worker.wsgi, "extensions", {}):
        warn_of_eviction(worker.wsgi)
    gc.collect()
    gc.freeze()


def _close(app: Any) -> None:
    from service import close
    from service.web.services import EXTENSION

    if EXTENSION in getattr(app, "extensions", {}):
        close(app)


def worker_exit(server: Any, worker: Any) -> None:  # noqa: ARG001
    """Close the pool while its threads still run; left open, it fails aloud at the very end."""
    _close(worker.wsgi)


def on_exit(server: Any) -> None:  # noqa: ARG001
    """Leave no counts behind, but for those that somebody wanted elsewhere."""
    counts = os.environ["PROMETHEUS_MULTIPROC_DIR"]
    if Path(counts).name.startswith(METRICS):
        shutil.rmtree(counts, ignore_errors=True)
