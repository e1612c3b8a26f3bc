"""One test run: its temporary directory, the Postgres that its processes share, and its end.

All temporary files of a run are below one directory, and every process that a test starts inherits
it as TMPDIR or works below it. That is how `python -m tests.run DIRECTORY`, which outlives the
run, finds what is left of it, even if pytest or one of its workers was killed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from service.embedded import PostgresEngine, leftovers
from service.embedded.postgres_engine import NAME, OWNER
from service.storage.migrations import migrate

MEMORY, ROOM = Path("/dev/shm"), 2 << 30  # bytes; a container's is too small by default
MAX_CONNECTIONS = 300  # every process of the run has several servers, with a pool each


class Run:
    """The temporary directory of a run; a watcher removes it when this process ends."""

    def __init__(self) -> None:
        parent = MEMORY if _has_room(MEMORY) else None
        self.directory = Path(tempfile.mkdtemp(prefix="coatcheck-tests-", dir=parent))
        self.directory.chmod(0o711)  # a Postgres that root starts runs as nobody
        os.environ["TMPDIR"] = tempfile.tempdir = str(self.directory)
        self._watcher = subprocess.Popen(
            [sys.executable, "-m", __name__, str(self.directory)],
            cwd=Path(__file__).parents[1],
            env={name: value for name, value in os.environ.items() if name != "TMPDIR"},
            stdin=subprocess.PIPE,
            start_new_session=True,  # out of reach of the terminal's Ctrl-C
        )

    def end(self) -> None:
        """End what is left of the run and remove its directory."""
        self._watcher.communicate(timeout=60)


def _has_room(directory: Path) -> bool:
    return os.access(directory, os.W_OK) and shutil.disk_usage(directory).free > ROOM


class SharedPostgres(PostgresEngine):
    """The Postgres of the run. Its URL is that of a database of this process's own."""

    def __init__(self) -> None:
        super().__init__(_directory() / "postgres", durable=False)
        self.database = f"{NAME}_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"

    @property
    def url(self) -> str:
        """See Engine."""
        return self._address(OWNER, self.database)

    @property
    def service_url(self) -> str:
        """See PostgresEngine."""
        return self._address(NAME, self.database)


@cache  # which also keeps the process that started it from forgetting its child
def shared_postgres() -> SharedPostgres:
    """The first process that asks starts it, the watcher ends it."""
    engine = SharedPostgres()

    def start() -> None:
        prepare_postgres(engine.directory)
        engine.start()

    _once("postgres", start)
    create = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}")
    names = (sql.Identifier(name) for name in (engine.database, OWNER, NAME))
    with psycopg.connect(engine.superuser_url, autocommit=True) as connection:
        connection.execute(create.format(*names))
    return engine


def prepare_postgres(directory: Path) -> None:
    """Have a Postgres find a migrated database in `directory`, which must not exist yet.

    A copy takes a tenth of the time of initdb.
    """
    template = PostgresEngine(_directory() / "template", durable=False)

    def make() -> None:
        with template:
            migrate(template.url)
            with psycopg.connect(template.superuser_url, autocommit=True) as connection:
                connection.execute(f"ALTER SYSTEM SET max_connections = {MAX_CONNECTIONS}")

    _once("template", make)
    directory.mkdir(mode=0o700, parents=True)
    subprocess.run(["cp", "-a", template.directory / "data", directory], check=True)


def _directory() -> Path:
    return Path(tempfile.gettempdir())


def _once(name: str, work: Callable[[], None]) -> None:
    """Do `work` unless a process of the run has done it; others wait meanwhile."""
    done = _directory() / f"{name}.done"
    with (_directory() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            work()
            done.touch()


def watch(directory: Path) -> None:
    """Wait until standard input ends, as it does with the process that holds the other end."""
    sys.stdin.read()
    # Only an immediate stop, and not SIGKILL, has Postgres give its shared memory back.
    leftovers.end(
        lambda each: each.name() == "postgres" and _is_of(directory, each), signal.SIGQUIT
    )
    while leftovers.end(lambda each: _is_of(directory, each), signal.SIGKILL):
        pass
    shutil.rmtree(directory)


def _is_of(directory: Path, process: psutil.Process) -> bool:
    if process.pid == os.getpid():
        return False
    return Path(process.cwd()).is_relative_to(directory) or (
        process.environ().get("TMPDIR") == str(directory)
    )


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
