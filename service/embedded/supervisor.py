"""The supervisor behind `make run`: engines, migrations and gunicorn, all or nothing.

A running supervisor holds a lock on the data directory. When another one gets the lock, processes
that still use the directory are left over from a killed supervisor, and it ends them.
"""

import fcntl
import os
import shlex
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from service.configuration import config
from service.embedded import Engine, PostgresEngine, RedisEngine
from service.embedded.gunicorn import Gunicorn, reserve
from service.errors import StartupError
from service.storage import migrations

Part = Engine | Gunicorn


class ServeError(StartupError):
    """The service cannot run here, or a part of it has ended."""


class StopRequested(BaseException):
    """A signal asked the supervisor to stop."""


def serve(environ: Mapping[str, str], application: str) -> None:
    """Run everything until SIGINT, SIGTERM or SIGHUP; leave no process behind.

    Args:
        environ: the settings, and `DATA_DIR`. Postgres and Redis are embedded unless the settings
            contain their addresses.
        application: for gunicorn, such as "service:create_app()".

    Raises:
        ConfigurationError, StartupError
    """
    data = Path(environ.get("DATA_DIR") or ".data").resolve()
    postgres = PostgresEngine(data / "postgres", say=say)
    redis = RedisEngine(data / "redis", say=say)
    engines: dict[str, Engine] = {"DATABASE_URL": postgres, "REDIS_URL": redis}
    given = {name for name in engines if environ.get(name) or environ.get(f"{name}_FILE")}
    embedded = {name: engine for name, engine in engines.items() if name not in given}
    addresses = {"DATABASE_URL": postgres.service_url, "REDIS_URL": redis.url}
    environ = {**environ, **{name: addresses[name] for name in embedded}}
    settings = config.load(environ)
    owner_url = settings.database_url if "DATABASE_URL" in given else postgres.url
    web = Gunicorn(data, environ, application)
    stop = _Stop()
    try:
        with _lock(data), _sweep([web, *engines.values()], stop):
            _run(settings, owner_url, embedded, web, stop)
    except StopRequested:
        say("Coatcheck has stopped.")


def say(line: str) -> None:
    """Print a line of progress, if the terminal is still open."""
    with suppress(OSError):  # a closed terminal must not prevent the cleanup
        print(line, flush=True)


class _Stop:
    """Handles signals. It raises only once: a second signal must not interrupt the cleanup."""

    def __init__(self) -> None:
        self.requested = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._request)

    def _request(self, *_: object) -> None:
        if not self.requested:
            self.requested = True
            raise StopRequested

    def check(self) -> None:
        """Raise again, in case a library swallowed the exception."""
        if self.requested:
            raise StopRequested


@contextmanager
def _lock(data: Path) -> Iterator[None]:
    try:
        data.mkdir(parents=True, exist_ok=True)
        file = (data / "lock").open("w")
    except OSError as problem:
        raise ServeError(
            f"DATA_DIR {data} cannot be used as a directory: {problem.strerror}"
        ) from problem
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServeError(
                f"Coatcheck is already running on {data}: stop it, or choose another DATA_DIR"
            ) from None
        yield


@contextmanager
def _sweep(parts: Sequence[Part], stop: _Stop) -> Iterator[None]:
    """End leftover processes of `parts`: first those of a killed run, and at the end our own.

    Our own, because a signal may arrive after a child is forked and before its pid is stored.
    """
    if count := sum(part.end_leftovers() for part in parts):
        say(f"Ended {count} processes left over from an earlier run.")
    try:
        yield
    finally:
        stop.requested = True
        for part in parts:
            part.end_leftovers()


def _run(
    settings: config.Settings,
    owner_url: str,
    engines: Mapping[str, Engine],
    web: Gunicorn,
    stop: _Stop,
) -> None:
    with ExitStack() as running:
        # First, because everything else takes longer.
        running.enter_context(reserve(settings.port))
        for engine in engines.values():
            say(f"Starting {engine.title} ...")
            running.enter_context(engine)
            stop.check()
        for name in migrations.migrate(owner_url):
            say(f"Applied migration {name}")
        stop.check()
        say(f"Starting gunicorn with {settings.web_concurrency} workers ...")
        running.callback(web.stop)
        web.start(settings.port)
        _say_addresses(settings, owner_url, engines)
        say(f"Coatcheck is ready: {web.url}")
        stop.check()
        _await_an_end([*engines.values(), web])


def _say_addresses(
    settings: config.Settings, owner_url: str, engines: Mapping[str, Engine]
) -> None:
    """Print what commands need, to be copied. Not a URL that was given, which may hold a
    password."""

    def line(database_url: str) -> str:
        values = {"DATABASE_URL": database_url, "REDIS_URL": settings.redis_url}
        own = [f"{name}={shlex.quote(values[name])}" for name in values if name in engines]
        return " ".join(["   ", f"COATCHECK_ENV={settings.env}", *own])

    say("For commands and for your own views:")
    say(line(settings.database_url))
    if "DATABASE_URL" in engines:
        say("As the owner of the database, for `audit`, `accounts release-names` and `migrate`:")
        say(line(owner_url))


def _await_an_end(parts: Sequence[Part]) -> None:
    while True:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        for part in parts:
            if status := part.exit_status():
                raise ServeError(f"{part.title} ended unexpectedly ({status}): stopped the rest")
        if ended:
            os.waitpid(ended.si_pid, os.WNOHANG)  # an orphan that we adopt as pid 1
